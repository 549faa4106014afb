"""Visit counters in the database, for `abuse` and `burst`.

Every sign-up runs these statements, so they are plain SQL: the ORM takes longer to build them than the database takes
to answer. Only the expression for "an hour ago" differs between the two databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

MOST = 1_000_000
"""The highest number that is counted to by default."""

_AGO = {
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-' || %s || ' hours')",
    "postgresql": "statement_timestamp() - %s * interval '1 hour'",
}


@dataclass(frozen=True)
class Tally:
    """A query for the number of visits under `key` in the last `hours`, counted up to `most`.

    `but` excludes one call, `only` counts just that one. Without either, the index alone is enough.
    """

    key: str
    hours: int = 1
    most: int = MOST
    but: UUID | None = None
    only: UUID | None = None

    def sql(self) -> str:
        which = f"{'AND submission <> %s' if self.but else ''} {'AND submission = %s' if self.only else ''}"
        found = f"SELECT 1 FROM signup_visit WHERE key = %s AND at > {_AGO[connection.vendor]} {which} LIMIT %s"  # noqa: S608
        return f"(SELECT count(*) FROM ({found}) AS found)"  # noqa: S608  # of constants, with places for all values

    def parameters(self) -> list[str | int]:
        return [self.key, self.hours, *(call.hex for call in (self.but, self.only) if call), self.most]


def count(tallies: Mapping[str, Tally]) -> dict[str, int]:
    """Return the count of each tally, all in one query."""
    asked = tallies.values()
    with connection.cursor() as cursor:
        sql = f"SELECT {', '.join(tally.sql() for tally in asked)}"
        cursor.execute(sql, [value for tally in asked for value in tally.parameters()])
        return dict(zip(tallies, cursor.fetchone(), strict=True))


def lock(keys: Iterable[str]) -> None:
    """Make transactions that count under these keys take turns."""
    if connection.vendor == "postgresql":  # SQLite lets one transaction write at a time.
        numbers = sorted(int(key[:15], 16) for key in keys)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) number", [numbers])


def add(call: UUID, keys: Iterable[str]) -> None:
    """Count a call under each of these keys."""
    rows = [value for key in keys for value in (key, call.hex)]
    values = ", ".join(["(%s, %s)"] * (len(rows) // 2))
    sql = f"INSERT INTO signup_visit (key, submission) VALUES {values}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, rows)
