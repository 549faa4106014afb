"""`/metrics` for Prometheus: read from the database, so it is right with any number of processes.

Numbers about calls cover the last five minutes, so that a scrape costs the same with a million accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from statistics import quantiles

from django.conf import settings
from django.core.cache import cache
from django.db import Error
from django.db.models import Count, Min
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from provisioning import gateway
from provisioning.database import describe
from provisioning.mirror import passes
from provisioning.models import Account, Attempt, Delivery, Endpoint, Worker
from signup.emails.models import Mail, SentMail

RECENT = timedelta(minutes=5)
FINAL_FOR = 60
"""Seconds for which the numbers of finished accounts are cached. Counting them takes longest."""


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with all metrics, to whoever has METRICS_TOKEN; on a developer's machine, to everybody."""
    if not may_read(request):
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", status=403, content_type="text/plain")
    registry = CollectorRegistry()
    registry.register(Metrics())
    try:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except Error as error:
        return HttpResponse(f"{describe(error)}\n", status=503, content_type="text/plain")


def may_read(request: HttpRequest) -> bool:
    """Whether the request has METRICS_TOKEN, or this is a developer's machine."""
    # An address is no proof: a proxy on this machine need not say for whom it asks.
    if settings.METRICS_TOKEN:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}")
    return bool(settings.DEBUG)


class Metrics(Collector):
    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing, so that registering this collector reads nothing."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _by_label("signup_accounts", "Accounts by state", "state", _accounts())
        yield _number("signup_oldest_due_seconds", "How long the oldest due account has waited", _oldest_due())
        yield from _calls()
        yield from _gateway()
        yield _by_label("signup_workers", "Running workers", "state", _workers())
        yield _number("signup_emails_due", "Emails due", Mail.objects.filter(due_at__lte=Now()).count())
        failed = SentMail.objects.filter(at__gte=Now() - timedelta(days=1)).exclude(problem="").count()
        yield _number("signup_emails_failed", "Emails of the last day that may not have been sent", failed)
        yield from _events()
        yield _number("signup_list_failing", "Whether your account list can't be read", bool(passes.problem()))
        if newest := passes.newest_complete():
            age = (gateway.now() - newest.started_at).total_seconds()
            yield _number("signup_list_age_seconds", "Time since the last complete read of the list began", age)


def _events() -> Iterator[GaugeMetricFamily]:
    due = Delivery.objects.filter(due_at__lte=Now()).count()
    yield _number("signup_events_due", "Deliveries of events that are due", due)
    failed = Delivery.objects.filter(state=Delivery.State.FAILED, done_at__gte=Now() - timedelta(days=1)).count()
    yield _number("signup_events_failed", "Deliveries of the last day that were given up", failed)
    off = Endpoint.objects.given_up().count()
    yield _number("signup_endpoints_off", "Endpoints that were switched off because they failed", off)


def _number(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value)


def _calls() -> Iterator[GaugeMetricFamily]:
    recent = Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__gte=Now() - RECENT)
    calls = list(recent.values_list("outcome", "duration"))
    counts = Counter(outcome for outcome, _duration in calls)
    outcomes = {outcome: counts[outcome] for outcome in Attempt.Outcome.values}
    yield _by_label("signup_calls_recent", "Calls of the last 5 minutes by outcome", "outcome", outcomes)
    seconds = [duration.total_seconds() for _outcome, duration in calls if duration]
    yield _by_label("signup_call_seconds", "Duration of these calls", "percentile", _percentiles(seconds))


def _by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _accounts() -> dict[str, int]:
    unfinished = [state for state in Account.State if state not in Account.FINAL]
    final = cache.get_or_set("metrics.final", lambda: _count(Account.FINAL), FINAL_FOR)
    return _count(unfinished) | (final or {})


def _count(states: Iterable[str]) -> dict[str, int]:
    rows = Account.objects.filter(state__in=states).order_by().values_list("state").annotate(Count("pk"))
    return dict.fromkeys(map(str, states), 0) | dict(rows)


def _oldest_due() -> float:
    due = Account.objects.filter(state=Account.State.QUEUED, due_at__lte=Now()).aggregate(at=Min("due_at"))["at"]
    return (gateway.now() - due).total_seconds() if due else 0


def _percentiles(seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return dict.fromkeys(("50", "95"), seconds[0]) if seconds else {}
    percentiles = quantiles(seconds, n=20, method="inclusive")
    return {"50": percentiles[9], "95": percentiles[18]}


def _gateway() -> Iterator[GaugeMetricFamily]:
    pause = gateway.current_pause()
    now = "open" if not pause else "paused" if pause.until else "stopped"
    states = {state: float(state == now) for state in ("open", "paused", "stopped")}
    yield _by_label("signup_gateway", "Whether calls may be made", "state", states)
    left = max(0, settings.CONSTANT_CONTACT_DAILY_QUOTA - gateway.calls_today())
    yield _number("signup_quota_left", "Calls left today (UTC)", left)


def _workers() -> dict[str, int]:
    problems = list(Worker.objects.alive().values_list("problem", flat=True))
    return {"working": problems.count(""), "blocked": len(problems) - problems.count("")}
