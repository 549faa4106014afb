"""Browsers by the names that people know them by."""

from __future__ import annotations

from django import template

register = template.Library()

BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
}
BROWSERS |= {"CriOS/": "Chrome", "Chrome/": "Chrome", "Safari/": "Safari"}
"""Part of a `User-Agent` → the browser. The first match counts: most browsers name others after themselves."""
SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "CrOS": "ChromeOS", "Windows": "Windows"}
SYSTEMS |= {"Macintosh": "Mac", "Linux": "Linux"}


@register.filter
def browser(user_agent: str) -> str:
    """Return a browser and its system, like "Firefox on Windows"; what the browser said if neither is known."""
    names = [next((name for part, name in known.items() if part in user_agent), "") for known in (BROWSERS, SYSTEMS)]
    return " on ".join(filter(None, names)) or user_agent or "Unknown browser"
