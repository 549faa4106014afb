/* Refreshes the list of accounts while something is under way, unless staff are choosing accounts or have paused it.
   It never loads the page again, which would count as activity of staff and keep them logged in. */
const note = document.querySelector("[data-refresh]");
const pause = note.querySelector("button");
const MAX_WAIT = 60000;
let wait = 5000;

const rows = (page) => [...page.querySelectorAll("#result_list tbody tr")];
const keys = (page) => rows(page).map((row) => row.querySelector(".field-customer a").href).join();

function isBusy() {
  const isChosen = document.querySelector("#result_list .action-select:checked");
  const isFocused = document.querySelector("#changelist-form")?.contains(document.activeElement);
  return document.hidden || pause.getAttribute("aria-pressed") === "true" || isChosen || isFocused;
}

function replace(part, page) {
  document.querySelector(part)?.replaceWith(page.querySelector(part) ?? "");
}

function replaceList(page) {
  [".actions", "#result_list", ".paginator"].forEach((part) => replace(part, page));
  const boxes = document.querySelectorAll("#result_list .action-select");
  if (boxes.length) window.Actions(boxes); // Django's script for the new checkboxes.
}

function update(row, fresh) {
  [...row.cells].forEach((cell, number) => {
    const other = fresh.cells[number];
    if (!cell.matches(".action-checkbox") && cell.innerHTML !== other.innerHTML) cell.replaceWith(other.cloneNode(true));
  });
}

async function refresh() {
  if (isBusy()) return later();
  const response = await fetch(location.href, { headers: { "X-Background": "refresh" } }).catch(() => null);
  if (!response?.ok || isBusy()) return later();
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (response.redirected) return location.reload(); // The session is over.
  if (keys(page) !== keys(document)) replaceList(page);
  else rows(page).forEach((fresh, number) => update(rows(document)[number], fresh));
  replace(".tabs", page);
  if (page.querySelector("[data-refresh]")) later();
  else note.remove();
}

function later() {
  setTimeout(refresh, wait);
  wait = Math.min(wait * 1.2, MAX_WAIT);
}

pause.hidden = false;
note.querySelector("[data-automatic]").hidden = false;
pause.addEventListener("click", () => {
  const isPaused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", isPaused);
});
later();
