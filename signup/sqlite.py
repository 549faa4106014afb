"""The database file of SQLite, which holds personal data."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any


class PrivateConnection(sqlite3.Connection):
    """Makes a new database file readable by its owner only; SQLite gives what it keeps beside it the same mode.

    A file that exists is not opened here: closing it again would break every lock that this process has on it.
    """

    def __init__(self, database: str | os.PathLike[str], *arguments: Any, **named: Any) -> None:
        if not str(database).startswith((":memory:", "file:")):
            with suppress(FileExistsError):
                os.close(os.open(database, os.O_CREAT | os.O_EXCL, 0o600))
        super().__init__(database, *arguments, **named)
