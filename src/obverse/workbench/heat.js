// A cell of a heat map chooses its layer, by click or by keys: arrows move, Enter or a space chooses.
const cells = () => [...element.querySelectorAll(".heat td[data-t]")];
const layerOf = (cell) => cell.cellIndex - 1;
const choose = (cell) => {
  for (const one of cells()) one.classList.toggle("chosen", layerOf(one) === layerOf(cell));
  trigger("click", { layer: layerOf(cell) });
};
const beside = (cell, key) => {
  if (key === "ArrowLeft") return cell.previousElementSibling;
  if (key === "ArrowRight") return cell.nextElementSibling;
  const row = key === "ArrowUp" ? cell.parentElement.previousElementSibling : cell.parentElement.nextElementSibling;
  return row?.cells[cell.cellIndex];
};
element.addEventListener("click", (event) => {
  const cell = event.target.closest(".heat td[data-t]");
  if (cell) choose(cell);
});
element.addEventListener("keydown", (event) => {
  const region = event.target.closest(".scroll");
  const cell = event.target.closest(".heat td[data-t]");
  if (cell && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose(cell);
  } else if (region && event.key.startsWith("Arrow")) {
    const next = cell ? beside(cell, event.key) : region.querySelector("td.top") || region.querySelector("td[data-t]");
    if (next?.matches("td[data-t]")) {
      event.preventDefault();
      next.focus();
    }
  }
});
