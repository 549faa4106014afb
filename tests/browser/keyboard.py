"""Walking through a page with the Tab key, as people do who have no mouse."""

from typing import Any

from playwright.sync_api import Page

NUMBER_WHAT_CAN_BE_USED = """() => {
  const all = "a[href], button, input, select, textarea, summary, iframe, [tabindex]"
  const usable = [...document.querySelectorAll(all)].filter((each) =>
    each.tabIndex >= 0 && !each.disabled && each.checkVisibility({visibilityProperty: true}) && isOneOfItsGroup(each))
  function isOneOfItsGroup(each) {
    if (each.type !== "radio") return true
    const group = [...each.form.elements].filter((other) => other.type === "radio" && other.name === each.name)
    return each === (group.find((other) => other.checked) ?? group[0])
  }
  document.body.tabIndex = -1
  document.body.focus()  // Where the next Tab starts.
  document.body.removeAttribute("tabindex")
  usable.forEach((each, number) => { each.dataset.number = number })
  return usable.map((each) => each.outerHTML.slice(0, 160))
}"""
WHERE = """() => {
  const each = document.activeElement
  if (each === document.body || each.dataset.number === undefined) return null
  const style = getComputedStyle(each)
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1
  const box = each.getClientRects()[0]
  const seen = document.elementFromPoint(
    Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1),
    Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1))
  return {
    number: Number(each.dataset.number),
    hasRing: ring || each.tagName === "IFRAME",
    isInSight: each.contains(seen) || seen?.contains(each) === true && getComputedStyle(seen).position !== "fixed",
  }
}"""


def walk(page: Page) -> None:
    """Fail unless Tab leads to everything that can be used, once, in the order of the page, and each time in sight.

    It must lead out of the page again, too. If there is a navigation, the first stop is the link that skips it.
    """
    usable: list[str] = page.evaluate(NUMBER_WHAT_CAN_BE_USED)
    stops: list[int] = []
    for _ in range(len(usable) * 8 + 8):  # Some fields for times have several stops inside.
        page.keyboard.press("Tab")
        where: dict[str, Any] | None = page.evaluate(WHERE)
        if where is None or (stops[1:] and where["number"] == stops[0]):
            break
        what = (page.url, usable[where["number"]])
        assert where["hasRing"], ("no visible focus", *what)
        assert where["isInSight"], ("out of sight", *what)
        if where["number"] not in stops[-1:]:
            assert where["number"] not in stops, ("a trap", *what)
            stops.append(where["number"])
    missed = [usable[number] for number in range(len(usable)) if number not in stops]
    assert not missed, ("out of reach", page.url, missed)
    assert stops == sorted(stops), ("another order than the page's", page.url, [usable[number] for number in stops])
    if page.locator(".navigation").count():
        assert "skip-to-content-link" in usable[0], (page.url, usable[0])
