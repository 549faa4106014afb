"""Few logins at a time: a password is hashed slowly on purpose, so a flood of them would slow every page down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
"""Threads of this process that may be at a login: one that hashes and one that waits for it. The others serve pages."""

_places = threading.BoundedSemaphore(AT_ONCE)
_hashing = threading.Lock()


class Busy(Exception):
    """All places are taken: try again in a moment."""


@contextmanager
def turn() -> Iterator[None]:
    """Let this thread check a password when it is its turn. Raises Busy instead of making many threads wait."""
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        with _hashing:
            yield
    finally:
        _places.release()
