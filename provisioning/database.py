"""Database errors in words that reveal nothing, and a lookup that SQLite lacks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import Error, InterfaceError, InternalError, OperationalError, connection
from django.db.models.lookups import In

UNAVAILABLE = (OperationalError, InterfaceError, InternalError)
"""Errors of a database that can't do something now. PostgreSQL's for a write while it is read-only is InternalError."""

LOCKED = "The database is locked by another session."
SLOW = "The database took too long: it is overloaded, or locked by another session."
READ_ONLY = "The database is read-only."
FULL = "The database's disk is full."
BUSY = "More sign-ups wait to be stored than the database can take."
NO_CONNECTION_LEFT = "The database accepts no more connections."
LOGIN_REFUSED = "The database refuses the login."
NOT_FOUND = "The database server has no such database or role."
NOT_ALLOWED = "The database's role lacks a permission."
OUTDATED = "The database is not up to date."
DAMAGED = "The database is damaged."
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
    "InsufficientPrivilege": NOT_ALLOWED,
    "UndefinedColumn": OUTDATED,
    "UndefinedTable": OUTDATED,
    "DataCorrupted": DAMAGED,
    "IndexCorrupted": DAMAGED,
    "database disk image is malformed": DAMAGED,
    "file is not a database": DAMAGED,
    BUSY: BUSY,
}
"""psycopg's exception, or SQLite's message or our own → the problem."""
_BY_PART = {
    "too many clients already": NO_CONNECTION_LEFT,
    "too many connections": NO_CONNECTION_LEFT,
    "connection slots are reserved": NO_CONNECTION_LEFT,
    "no more connections allowed": NO_CONNECTION_LEFT,
    "password authentication failed": LOGIN_REFUSED,
    "is not permitted to log in": LOGIN_REFUSED,
    "no pg_hba.conf entry": LOGIN_REFUSED,
    "permission denied for database": LOGIN_REFUSED,
    '" does not exist': NOT_FOUND,
    "no such column": OUTDATED,
    "no such table": OUTDATED,
}
"""A part of the message → the problem. While connecting to PostgreSQL or pgbouncer, psycopg has only the message."""


def describe(error: Error) -> str:
    """Return what is wrong with the database, as far as the error tells."""
    cause = error.__cause__ or error
    if known := _PROBLEMS.get(type(cause).__name__) or _PROBLEMS.get(str(cause)):
        return known
    unknown = (
        UNREACHABLE if isinstance(error, UNAVAILABLE) else f"The database reports an error: {type(cause).__name__}."
    )
    return next((problem for part, problem in _BY_PART.items() if part in str(cause)), unknown)


def limit_statements() -> None:
    """Let no statement or lock of this process take longer than one of the web server. Call it before the first one."""
    connection.settings_dict["STATEMENT_TIMEOUT"] = settings.STATEMENT_TIMEOUT


class IntegerIn(In):
    """Django's lookup `in` for integers, without those that no column can hold: SQLite can't even compare them.

    Django's other lookups do the same (`IntegerFieldOverflow`). A form may be sent with any number as its choice.
    """

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        if self.rhs_is_direct_value():
            kind = self.lhs.output_field.get_internal_type()
            least, most = connection.ops.integer_field_range(kind)
            self.rhs = [
                value
                for value in self.rhs
                if not isinstance(value, int) or ((least is None or least <= value) and (most is None or value <= most))
            ]
        return super().process_rhs(compiler, connection)
