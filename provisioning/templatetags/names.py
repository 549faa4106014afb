"""Names that may be too long for a line."""

from __future__ import annotations

import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def breakable(name: str) -> SafeString:
    """Return a name that can be broken like an email address, which many usernames are."""
    return mark_safe(re.sub(r"(?=[@.][^\s?])", "<wbr>", conditional_escape(name)))  # noqa: S308  # It is escaped.
