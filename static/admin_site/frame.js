/* On a phone, the lines of the navigation scroll: show the link of the current page. */
for (const link of document.querySelectorAll(".navigation [aria-current]")) {
  const line = link.closest("ul");
  line.scrollLeft = link.offsetLeft + link.offsetWidth - line.clientWidth;
}

/* Escape closes an open menu or filter, and so does a click elsewhere. */
function close(isMeant, andFocus) {
  for (const menu of document.querySelectorAll("details:is(.menu, .filter)[open]")) {
    if (!isMeant(menu)) continue;
    if (andFocus && menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(() => true, true); });
document.addEventListener("click", (event) => close((menu) => !menu.contains(event.target), false));
