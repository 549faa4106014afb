"""The database backend for SQLite, which keeps a time as text. It writes Python's times as SQLite's own clock does.

SQLite's clock has milliseconds and Python's has microseconds: "….472" and "….472000" are the same moment, but not the
same text. Without this, a time that was read from the database is later than itself.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3 import base, operations


class DatabaseOperations(operations.DatabaseOperations):
    def adapt_datetimefield_value(self, value: Any) -> Any:
        adapted: Any = super().adapt_datetimefield_value(value)
        if not isinstance(adapted, str):
            return adapted
        second, _, fraction = adapted.partition(".")
        return f"{second}.{fraction.removesuffix('000') or '000'}"


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations
