"""Visit counters in the database, for `abuse` and `burst`.

Every sign-up runs these statements, so they are plain SQL: the ORM takes longer to build them than the database takes
to answer. Only the expression for "an hour ago" differs between the two databases.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.cache import cache
from django.db import connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

CACHE_SECONDS = 1.0
"""Seconds for which the number of the last hour's visits is cached: every sign-up asks for it, and it can be large."""

BATCH_SIZE = 1000
"""How many of the oldest visits are looked at, and deleted, at once."""
LOCK = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) number"
_AGO = {
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-{} hours')",
    "postgresql": "statement_timestamp() - interval '{} hours'",
}


class Visit(models.Model):
    """One thing that counts against the limit of a key: a form, an email, a requested link, a hidden visitor."""

    key = models.CharField(max_length=64)
    """An HMAC of the limit's source, such as a network or a mailbox, which it doesn't reveal."""
    submission = models.UUIDField()
    """The form's one-time ID. A form that is sent several times counts once."""
    at = models.DateTimeField(db_default=Now())

    class Meta:
        # Every sign-up adds rows while others wait for it, so there is only this one index.
        indexes = [models.Index(fields=["key", "at"], name="visit_key_at")]

    def __str__(self) -> str:
        return f"{self.key[:8]}… {self.at:%H:%M}"


@dataclass(frozen=True)
class Earlier:
    """The number of other calls that were counted under a key, and whether this one has already been counted."""

    day: int = 0
    hour: int = 0
    is_counted: bool = False


def count_earlier(call: UUID, keys: Collection[str]) -> dict[str, Earlier]:
    """Return what was counted under each of these keys within a day. Each key should have few visits.

    Until the end of the transaction, others that count under one of the keys wait here.
    """
    day, hour = (_AGO[connection.vendor].format(hours) for hours in (24, 1))
    others = "sum(CASE WHEN submission <> %s THEN 1 ELSE 0 END)"
    recent = f"sum(CASE WHEN submission <> %s AND at > {hour} THEN 1 ELSE 0 END)"
    own = "sum(CASE WHEN submission = %s THEN 1 ELSE 0 END)"
    which = f"key IN ({_places(keys)}) AND at > {day} GROUP BY key"
    sql = f"SELECT key, {others}, {recent}, {own} FROM signup_visit WHERE {which}"  # noqa: S608  # of constants
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # SQLite lets one transaction write at a time.
            # Sent together, but run one after the other: the second statement sees what the first one waited for.
            cursor.execute(f"{LOCK}; {sql}", [_numbers(keys), call.hex, call.hex, call.hex, *keys])
            cursor.nextset()
        else:
            cursor.execute(sql, [call.hex, call.hex, call.hex, *keys])
        found = {key: Earlier(day, hour, bool(own)) for key, day, hour, own in cursor.fetchall()}
    return {key: found.get(key, Earlier()) for key in keys}


def count_last_hour(keys: Collection[str]) -> dict[str, int]:
    """Return the number of visits under each of these keys within the last hour, up to `CACHE_SECONDS` old."""
    known: dict[str, int] = cache.get_many(keys)
    missing = [key for key in keys if key not in known]
    if missing:
        hour = _AGO[connection.vendor].format(1)
        sql = f"SELECT key, count(*) FROM signup_visit WHERE key IN ({_places(missing)}) AND at > {hour} GROUP BY key"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(sql, missing)
            counted = dict.fromkeys(missing, 0) | dict(cursor.fetchall())
        cache.set_many(counted, CACHE_SECONDS)
        known |= counted
    return known


def _places(keys: Collection[str]) -> str:
    return ", ".join(["%s"] * len(keys))


def lock(keys: Iterable[str]) -> None:
    """Make transactions that count under these keys take turns."""
    if connection.vendor == "postgresql":  # SQLite lets one transaction write at a time.
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [_numbers(keys)])


def _numbers(keys: Iterable[str]) -> list[int]:
    return sorted(int(key[:15], 16) for key in keys)


def add(call: UUID, keys: Iterable[str]) -> None:
    """Count a call under each of these keys."""
    rows = [value for key in keys for value in (key, call.hex)]
    values = ", ".join(["(%s, %s)"] * (len(rows) // 2))
    sql = f"INSERT INTO signup_visit (key, submission) VALUES {values}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, rows)


def add_within(key: str, an_hour: int, a_day: int) -> bool:
    """Count something under a key, unless as much was counted within the last hour or day. Return whether it was."""
    visit = uuid4()
    with transaction.atomic():
        counted = count_earlier(visit, [key])[key]
        if counted.hour >= an_hour or counted.day >= a_day:
            return False
        add(visit, [key])
    return True


def delete_old(**kwargs: Any) -> None:
    """Delete visits that are too old to count. Runs as a worker's chore."""
    is_old = Q(at__lt=Now() - timedelta(days=1))
    by_age = Visit.objects.order_by("pk").values_list("pk", flat=True)
    if Visit.objects.filter(is_old, pk__in=by_age[:1]).exists():  # Usually not, and nothing is written.
        # A list, because for a subquery PostgreSQL reads all visits.
        Visit.objects.filter(is_old, pk__in=list(by_age[:BATCH_SIZE])).delete()
