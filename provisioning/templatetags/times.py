"""Times and durations as people say them, for templates and for Python code."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils.formats import date_format
from django.utils.timesince import timesince, timeuntil
from django.utils.timezone import localtime, now

register = template.Library()


@register.filter
def exact(at: datetime) -> str:
    """Return a time in the installation's time zone, with the name of it."""
    return date_format(localtime(at), "DATETIME_FORMAT")


@register.filter
def ago(at: datetime) -> str:
    """Return how long ago a time was, like "3 hours ago" or "just now"."""
    return "just now" if now() - at < timedelta(minutes=1) else f"{timesince(at, depth=1)} ago"


@register.filter
def until(at: datetime) -> str:
    """Return when a time comes, like "in 6 days (Nov. 27, 2026, 4:39 p.m. UTC)"."""
    if at <= now():
        return "any moment now"
    return f"in {timeuntil(at, depth=1)} ({exact(at)})"


@register.filter
def duration(time: timedelta | float) -> str:
    """Return a timedelta, or a number of seconds, in the unit that people would use: "0.8 s", "5 min", "2 h"."""
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if seconds < 10:
        return f"{seconds:.1f} s"
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
