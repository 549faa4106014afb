"""How lists and pages of the admin show a state, a time, and two lines in one cell."""

from __future__ import annotations

from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from provisioning.templatetags.times import ago, exact


def badge(color: str, words: str, detail: str = "") -> SafeString:
    """Return words in the color of one of `Account.State`, with a detail in small print if there is one."""
    shown = format_html('<span class="state {}">{}</span>', color, words)
    return format_html("{} <small>{}</small>", shown, detail) if detail else shown


def two_lines(first: str, second: str) -> SafeString:
    return format_html("{}<br><small>{}</small>", first, second) if second else format_html("{}", first)


def when(at: datetime) -> SafeString:
    """Return how long ago a time was, and the time itself."""
    return two_lines(ago(at), exact(at))
