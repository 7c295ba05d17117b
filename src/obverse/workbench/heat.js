// A cell of a heat map chooses its layer, by click or by keys: arrows move, Enter or a space chooses.
const layerOf = (cell) => Number(cell.getAttribute("x"));
const choose = (cell) => {
  for (const map of element.querySelectorAll(".cells")) {
    const rows = map.viewBox.baseVal.height;
    const frame = map.querySelector(".chosen") || map.appendChild(map.querySelector(".outline").cloneNode());
    frame.setAttribute("class", "chosen");
    frame.setAttribute("d", `M${layerOf(cell)} 0h1v${rows}h-1z`);
  }
  trigger("click", { layer: layerOf(cell) });
};
const beside = (cell, key) => {
  if (key === "ArrowLeft") return cell.previousElementSibling;
  if (key === "ArrowRight") return cell.nextElementSibling;
  const row = key === "ArrowUp" ? cell.parentElement.previousElementSibling : cell.parentElement.nextElementSibling;
  return row?.querySelector(`rect[x="${layerOf(cell)}"]`);
};
// The browser's own tip comes late, and neither by keys nor by touch: what it would say is moved into ours.
const told = (cell) => {
  const title = cell.querySelector("title");
  if (title) {
    cell.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  return cell.getAttribute("aria-label");
};
const tell = (cell) => {
  const tip = element.querySelector(".tip");
  if (tip) tip.textContent = cell ? told(cell) : "";
};
const focus = (cell) => {
  cell.setAttribute("tabindex", "-1");
  cell.focus();
};
const cellOf = (event) => event.target.closest(".cells rect");
element.addEventListener("click", (event) => {
  const cell = cellOf(event);
  if (!cell) return;
  focus(cell);
  choose(cell);
});
element.addEventListener("pointerover", (event) => tell(cellOf(event)));
element.addEventListener("focusin", (event) => tell(cellOf(event)));
element.addEventListener("focusout", () => tell(null));
element.addEventListener("keydown", (event) => {
  const map = event.target.closest(".scroll")?.querySelector(".cells");
  const cell = cellOf(event);
  if (cell && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose(cell);
  } else if (map && event.key.startsWith("Arrow")) {
    const next = cell ? beside(cell, event.key) : map.querySelector("rect.top") || map.querySelector("rect");
    if (next?.matches("rect")) {
      event.preventDefault();
      focus(next);
    }
  }
});
