"""The admin's overview: how many people signed up, whether anything is stuck, and what needs doing.

Its cost doesn't grow with the number of accounts. Tasks and today's numbers are counted each time. Past days, and the
times and refusals of the newest accounts, are cached for 15 minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from statistics import quantiles
from typing import TypeVar

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, F
from django.db.models.functions import Now, TruncDate
from django.urls import reverse
from django.utils import timezone

from provisioning import gateway
from provisioning.admin_site.chart import Chart, Share, shares
from provisioning.admin_site.tasks import Task, tasks
from provisioning.models import Account, Attempt, Worker

State = Account.State
T = TypeVar("T")

DAYS = 30
NEWEST = 1000
"""How many of the newest accounts, and of the newest refusals, the statistics cover."""
FRESH_FOR = timedelta(minutes=15)
"""How long numbers about the past are cached."""

UNFINISHED = (State.HELD, State.QUEUED, State.SENDING)

Counts = Counter[str]
"""Accounts by state."""


@dataclass(frozen=True)
class Period:
    name: str
    counts: Counts

    @property
    def submitted(self) -> int:
        return self.counts.total()

    @property
    def created(self) -> int:
        return self.counts[State.CREATED]

    @property
    def success(self) -> float | None:
        """The percentage of finished accounts that were created; None if none is finished."""
        answered = self.submitted - sum(self.counts[state] for state in UNFINISHED)
        return 100 * self.created / answered if answered else None


@dataclass(frozen=True)
class Overview:
    tasks: list[Task]
    periods: list[Period]
    median: float | None
    slowest: float | None
    """Half of the accounts are created within `median` seconds, and 95 percent within `slowest`."""
    calls: int
    quota: int
    workers: int
    chart: Chart
    reasons: list[Share]


def overview() -> Overview:
    today = timezone.localdate()
    days = by_day(today)
    workers = list(Worker.objects.alive())
    median, slowest = _cached("times", _times_to_ready)
    return Overview(
        tasks=tasks(workers),
        periods=[
            Period("Today", days[today]),
            Period("7 days", _last(days, 7)),
            Period("30 days", _last(days, DAYS)),
        ],
        median=median,
        slowest=slowest,
        calls=gateway.calls_today(),
        quota=settings.CONSTANT_CONTACT_DAILY_QUOTA,
        workers=len(workers),
        chart=Chart(days),
        reasons=_cached("refused", _reasons),
    )


def by_day(today: date) -> dict[date, Counts]:
    """Count accounts by the day of submission, oldest first, and by their current state."""
    past: dict[date, Counts] = _cached(f"past.{today}", partial(_count, today))
    states = Account.objects.filter(submitted_at__gte=_start(today)).order_by().values_list("state")
    return past | {today: Counts(dict(states.annotate(Count("pk"))))}


def _count(today: date) -> dict[date, Counts]:
    days = {today - timedelta(days=ago): Counts() for ago in range(DAYS - 1, 0, -1)}
    accounts = Account.objects.filter(submitted_at__gte=_start(min(days)), submitted_at__lt=_start(today)).order_by()
    rows = accounts.values_list(TruncDate("submitted_at"), "state").annotate(Count("pk"))
    for day, state, count in rows:
        days[day][state] = count
    return days


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _cached(name: str, compute: Callable[[], T]) -> T:
    """Return the cached value, or compute and cache it."""
    return cache.get_or_set(f"overview.{name}", compute, FRESH_FOR.total_seconds())  # type: ignore[return-value]


def _last(days: dict[date, Counts], number: int) -> Counts:
    return sum(list(days.values())[-number:], Counts())


def _times_to_ready() -> tuple[float | None, float | None]:
    newest = Account.objects.filter(  # Imported and repaired rows may have no time of creation.
        state=State.CREATED, submitted_at__gte=Now() - timedelta(days=DAYS), created_at__isnull=False
    ).values_list(F("created_at") - F("submitted_at"), flat=True)
    seconds = [took.total_seconds() for took in newest[:NEWEST]]
    if len(seconds) < 2:
        return None, None
    percentiles = quantiles(seconds, n=20, method="inclusive")
    return percentiles[9], percentiles[18]


def _reasons() -> list[Share]:
    """Count how often each property was refused, by its label, with the URL of its accounts."""
    accounts = reverse("admin:provisioning_account_changelist")
    refused: Counter[tuple[str, str]] = Counter()
    for outcome in Attempt.REFUSALS:
        newest = Attempt.objects.filter(outcome=outcome, started_at__gte=Now() - timedelta(days=DAYS))
        for properties in newest.order_by("-started_at").values_list("refused", flat=True)[: NEWEST // 2]:
            named = [(Account.label(name), f"{accounts}?refused={name}") for name in properties]
            refused.update(named or [("No field named", "")])
    return shares(refused)
