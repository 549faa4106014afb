"""Sign-ups of one process write to SQLite one after another.

SQLite lets one connection write at a time. It makes the others sleep and look again, up to a tenth of a second later,
so of many at once some wait long while nobody writes. Waiting for each other here costs no time between two turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection

LONGEST_WAIT = 5.0
"""Seconds after which a customer would rather hear that there are too many."""

_turn = threading.Lock()


@contextmanager
def to_write() -> Iterator[None]:
    """Wait for a turn to begin a transaction that writes. Raises OperationalError when there are too many waiting."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    if not _turn.acquire(timeout=LONGEST_WAIT):
        raise OperationalError("too many sign-ups wait to be written")
    try:
        yield
    finally:
        _turn.release()
