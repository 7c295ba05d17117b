"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report").textContent);
  const table = document.getElementById("cases");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], find = document.getElementById("find");
  const only = document.getElementById("only"), shown = document.getElementById("shown");

  // Everything a model wrote is put in as text, never as HTML.
  const make = (tag, text, css, ...inside) => {
    const made = document.createElement(tag);
    if (text != null) made.textContent = text;
    if (css) made.className = css;
    made.append(...inside);
    return made;
  };
  const percent = (p) => p == null ? "-" : p > 0 && p < 0.0001 ? "< 0.01 %" : `${(100 * p).toPrecision(3)} %`;
  const names = { efficacy: "The prompt itself", generalization: "In other words", specificity: "Neighbours",
    reverse: "In reverse" };

  function verdict([own, rival, , accuracy, , exact]) {
    const won = rival != null ? own > rival : exact != null ? exact : accuracy === 1;
    return make("td", won ? "✓ yes" : "✗ no", won ? "good" : "bad");
  }

  function question(told, place) {
    const [kind, text, expected, rejected, contrast] = told.probes[place];
    const head = make("summary", null, "", make("small", `${names[kind] || kind}: `), `${text} … `, make("b", expected));
    if (rejected) head.append(make("small", ` rather than ${rejected}`));
    if (contrast) head.append(make("small", ` rather than after “${contrast}”`));
    const top = make("tr");
    for (const name of ["Run", "Won", "Probability", "Rival's", "Rank", "Tokens right", "It writes"]) top.append(make("th", name));
    const made = make("table", null, "numbers", make("thead", null, "", top));
    const inside = make("tbody");
    data.runs.forEach((run, n) => {
      const answer = told.answers[n] && told.answers[n][place];
      const row = make("tr", null, "", make("td", run));
      if (answer) {
        const [own, rival, rank, accuracy, writes] = answer;
        row.append(verdict(answer), make("td", percent(own)), make("td", percent(rival)), make("td", rank ?? "-"),
          make("td", percent(accuracy)), make("td", (writes ?? "-").replaceAll("\n", "⏎ "), "writes"));
      } else row.append(make("td", told.errors[n] || "not asked", "none"));
      inside.append(row);
    });
    made.append(inside);
    return make("details", null, "", head, made);
  }

  function texts(told) {
    const all = make("details", null, "", make("summary", "Sampled texts"));
    told.texts.forEach((found, n) => found.forEach((text) => all.append(make("p", null, "", make("small", `${data.runs[n]} `), text))));
    return told.texts.some((found) => found.length) ? [all] : [];
  }

  function open(row) {
    const told = data.cases[Number(row.dataset.n)];
    const inside = make("div");
    if (told) {
      const seen = new Set();
      told.probes.forEach(([kind], place) => {
        const made = question(told, place);
        made.open = !seen.has(kind);
        seen.add(kind);
        inside.append(made);
      });
      told.errors.forEach((error, n) => error && inside.append(make("p", `${data.runs[n]}: ${error}`, "bad wrap")));
      inside.append(...texts(told));
    } else inside.append(make("p", "The answers of this case are not on this page; they are in the records.", "none"));
    const cell = make("td", null, "", inside);
    cell.colSpan = row.cells.length;
    row.after(make("tr", null, "told", cell));
    row.classList.add("open");
  }

  function close(row) {
    row.classList.remove("open");
    if (row.nextElementSibling?.classList.contains("told")) row.nextElementSibling.remove();
  }

  function filter() {
    const word = find.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits = row.dataset.f.includes(only.value) && row.cells[0].textContent.toLowerCase().includes(word);
      if (!fits) close(row);
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length}`;
  }

  function sort(button) {
    const column = Number(button.dataset.sort), up = button.getAttribute("aria-sort") === "descending";
    table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    button.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => column ? Number(row.cells[column].dataset.v) : -Number(row.dataset.n);
    rows.forEach(close);
    rows.sort((a, b) => (up ? 1 : -1) * (value(a) - value(b)));
    body.append(...rows);
  }

  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.sort) return sort(button);
    const row = button.closest("tr");
    row.classList.contains("open") ? close(row) : open(row);
  });
  find.addEventListener("input", filter);
  only.addEventListener("change", filter);
  filter();
})();
