"""Exponential backoff: each wait in a row is longer than the one before it, up to a limit."""

from __future__ import annotations

from datetime import timedelta

MAX_EXPONENT = 100
"""Enough for any limit, and small enough that no number overflows."""


def exponential(first: timedelta, limit: timedelta, number: int, factor: float = 2.0) -> timedelta:
    """Return wait `number`, counted from 0: `first`, then `factor` times as long each time, but at most `limit`."""
    seconds = first.total_seconds() * factor ** min(number, MAX_EXPONENT)
    return timedelta(seconds=min(seconds, limit.total_seconds()))
