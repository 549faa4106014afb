"""SQLite's database file, which holds personal data and is private to its owner."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any


class PrivateConnection(sqlite3.Connection):
    """Creates a new database file readable by its owner only. SQLite gives its `-wal` and `-shm` files the same mode.

    An existing file is not opened here: closing it would release every lock that this process holds on it.
    """

    def __init__(self, database: str | os.PathLike[str], *arguments: Any, **named: Any) -> None:
        if not str(database).startswith((":memory:", "file:")):
            with suppress(FileExistsError):
                os.close(os.open(database, os.O_CREAT | os.O_EXCL, 0o600))
        super().__init__(database, *arguments, **named)
