"use strict";
for (const section of document.querySelectorAll("[data-table]")) {
  const table = section.querySelector("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const filter = section.querySelector("input");
  filter?.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    section.querySelector("[role=status]").textContent = wanted === "" ? "" : `${shown} of ${rows.length} rows match`;
  });

  const compare = (index, numeric, direction) => (one, other) => {
    const [a, b] = [one, other].map((row) => row.cells[index].dataset.value ?? row.cells[index].textContent);
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    if (numeric) return direction * (Number(a) - Number(b));
    return direction * (a < b ? -1 : a > b ? 1 : 0);
  };
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const one of heading.parentElement.cells) one.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      rows.sort(compare(index, heading.dataset.numeric === "true", ascending ? 1 : -1));
      body.append(...rows);
    });
  });
}
// On paper, nothing can be opened; and not every browser's style sheets can.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of opened) one.open = false;
});
document.documentElement.dataset.ready = "true";
