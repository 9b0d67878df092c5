"use strict";
const list = document.getElementById("studies");
const rows = Array.from(list.children);
const group = document.getElementById("group");
const order = document.getElementById("order");
const search = document.getElementById("search");
const shown = document.getElementById("shown");
function filter() {
  const wanted = search.value.trim().toLowerCase();
  let count = 0;
  for (const row of rows) {
    const fits = (!group.value || row.dataset.group === group.value) && row.dataset.study.toLowerCase().includes(wanted);
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = count + " of " + rows.length + " shown";
}
function sort() {
  const byName = (a, b) => a.dataset.study.localeCompare(b.dataset.study, "en", { numeric: true });
  list.append(...(order.value === "study" ? rows.slice().sort(byName) : rows));
}
group.addEventListener("change", filter);
search.addEventListener("input", filter);
order.addEventListener("change", sort);
document.getElementById("lines").addEventListener("change", (event) => list.classList.toggle("plain-pictures", !event.target.checked));
document.getElementById("controls").hidden = false;
filter();
