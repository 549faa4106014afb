"""Sign-ups write to SQLite one after another.

SQLite lets one connection write at a time. It makes the others sleep and look again, up to a tenth of a second later,
so of many at once some wait long while nobody writes. Waiting for each other here costs no time between two turns, and
no web server's process takes all the turns.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from django.db import OperationalError, connection

LONGEST_WAIT = 5.0
"""Seconds after which a customer would rather hear that there are too many."""

LOOK_AGAIN = 0.001
"""Seconds between two looks whether another process has ended its turn."""

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
        with _before_other_processes():
            yield
    finally:
        _turn.release()


@contextmanager
def _before_other_processes() -> Iterator[None]:
    """Lock the database's directory: the file has locks of SQLite's own, which closing it once more would break."""
    directory = _directory(str(connection.settings_dict["NAME"]))
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        if time.monotonic() > deadline:
            raise OperationalError("sign-ups of other processes wait to be written")
        time.sleep(LOOK_AGAIN)
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


@cache
def _directory(database: str) -> int:
    return os.open(Path(database).parent, os.O_RDONLY)
