// A button with data-action tells the server what was asked for.
element.addEventListener("click", (event) => {
  const asked = event.target.closest("button[data-action]");
  if (asked) trigger("click", { ...asked.dataset });
});
