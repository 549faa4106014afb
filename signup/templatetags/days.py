"""Dates for customers."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import get_language

register = template.Library()


@register.filter
def day(at: datetime) -> str:
    """Return a date as people write it in the active language. In French, the first of a month is "1er", not "1"."""
    local = localtime(at)
    text = date_format(local)
    return f"1er{text.removeprefix('1')}" if local.day == 1 and get_language() == "fr" else text
