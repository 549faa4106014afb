"""A lock that makes sign-ups write to SQLite one after another.

SQLite lets one connection write at a time. The others poll, at intervals of up to a tenth of a second, so under load
some wait long while nobody writes. With this lock, no time is lost between two writers, and no process of the web
server can starve the others.
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

from provisioning.database import BUSY

MAX_WAIT = 5.0
"""Seconds. After that, it is better to tell the customer that too many people are signing up."""

POLL_INTERVAL = 0.0002
"""Seconds between two attempts to lock out the other processes. With a millisecond, nobody writes meanwhile."""

_threads = threading.Lock()


@contextmanager
def hold() -> Iterator[None]:
    """Hold the lock in this context, for a transaction that writes. Raises OperationalError if too many are waiting.

    PostgreSQL needs no such lock, and neither does a transaction that has already begun.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    if not _threads.acquire(timeout=MAX_WAIT):
        raise OperationalError(BUSY)
    try:
        with _lock_out_processes():
            yield
    finally:
        _threads.release()


@contextmanager
def _lock_out_processes() -> Iterator[None]:
    """Lock the database's directory. Opening and closing the file itself would release SQLite's own locks on it."""
    directory = _directory(str(connection.settings_dict["NAME"]))
    deadline = time.monotonic() + MAX_WAIT
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        if time.monotonic() > deadline:
            raise OperationalError(BUSY)
        time.sleep(POLL_INTERVAL)
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


@cache
def _directory(database: str) -> int:
    return os.open(Path(database).parent, os.O_RDONLY)
