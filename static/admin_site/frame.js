/* On a phone, the lines of the navigation and the tabs scroll: show the link of the current page. */
for (const link of document.querySelectorAll(":is(.navigation, .tabs) [aria-current]")) {
  const line = link.closest("ul");
  line.scrollLeft = link.offsetLeft + link.offsetWidth - line.clientWidth;
}

/* Escape closes an open menu or filter. So does a click or the focus elsewhere, which it could hide. */
function close(isMeant, andFocus) {
  for (const menu of document.querySelectorAll("details:is(.menu, .filter)[open]")) {
    if (!isMeant(menu)) continue;
    if (andFocus && menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(() => true, true); });
for (const elsewhere of ["click", "focusin"]) {
  document.addEventListener(elsewhere, (event) => close((menu) => !menu.contains(event.target), false));
}
