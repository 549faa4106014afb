"""Makes SQLite forget the words of erased accounts.

FTS5 only marks words as deleted until it merges its index (https://www.sqlite.org/fts5.html#the_optimize_command). With
many accounts, that takes seconds, so workers do it in small steps. PostgreSQL replaces the words at once.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

PAGES = 250
"""How many pages of the index one step merges."""
STEPS = 10
"""How many steps one round of chores takes."""
DONE, NOTED, BEGUN = range(3)
"""What the index is waiting for, as SQLite's `user_version`, which changes with the transaction."""


def note(**signal: Any) -> None:
    """Note, in the transaction of an erasure, that the index holds words to forget."""
    if connection.vendor == "sqlite":
        _set(NOTED)


def forget_words(**signal: Any) -> None:
    """Merge the index, for some steps, if words of erased accounts are left in it. Runs as a worker's chore."""
    if connection.vendor == "sqlite":
        for _step in range(STEPS):
            if _get("PRAGMA user_version") == DONE:
                return
            with transaction.atomic():
                _merge()


def _merge() -> None:
    """Take one step. The first one, with a negative number, marks all of the index to be merged."""
    is_begun = _get("PRAGMA user_version") == BEGUN
    before = _get("SELECT total_changes()")
    with connection.cursor() as cursor:
        pages = PAGES if is_begun else -PAGES
        cursor.execute("INSERT INTO account_search (account_search, rank) VALUES ('merge', %s)", [pages])
    is_done = is_begun and _get("SELECT total_changes()") - before < 2
    _set(DONE if is_done else BEGUN)


def _get(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        number: int = cursor.fetchone()[0]
    return number


def _set(version: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA user_version = {version}")
