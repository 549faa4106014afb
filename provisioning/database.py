"""What keeps the database from storing something, in words that reveal nothing about the server or the data."""

from __future__ import annotations

from django.db import Error

LOCKED = "The database is locked by another session."
SLOW = "The database took too long: it is overloaded, or locked by another session."
READ_ONLY = "The database is read-only."
FULL = "The database's disk is full."
UNREACHABLE = "The database can't be reached."

_PROBLEMS = {
    "LockNotAvailable": LOCKED,
    "QueryCanceled": SLOW,
    "database is locked": LOCKED,
    "database table is locked": LOCKED,
    "ReadOnlySqlTransaction": READ_ONLY,
    "attempt to write a readonly database": READ_ONLY,
    "DiskFull": FULL,
    "database or disk is full": FULL,
}
"""psycopg's exception, or SQLite's message → the problem."""


def describe(error: Error) -> str:
    """Return what is wrong with the database, as far as the error tells."""
    cause = error.__cause__
    return _PROBLEMS.get(type(cause).__name__) or _PROBLEMS.get(str(cause)) or UNREACHABLE
