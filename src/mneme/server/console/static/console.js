// What htmx does not do: a slider that says its value. Pages work without it.
"use strict";
document.addEventListener("input", (event) => {
  const says = event.target.dataset && event.target.dataset.says;
  const output = says && document.getElementById(says);
  if (output) output.textContent = event.target.value;
});
