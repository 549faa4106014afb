"""Notices what needs staff, and when it is over. Runs as a worker's chore."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.template.defaultfilters import pluralize

from provisioning import gateway
from provisioning.models import Account, Endpoint, Incident, NoticeRule, Worker
from provisioning.notices import rules

Kind, State = Incident.Kind, Account.State
Cause = tuple[str, str]
"""The kind of an incident, and its subject."""

PAUSE = 5.0
"""Seconds between two looks of each process."""
QUIET_PERIOD = timedelta(minutes=10)
"""How long a cause must be absent before its incident is over. A cause that comes and goes is one incident. With each
further one of a day, the time doubles: a stranger can cause some, and their emails must stay few."""
MAX_QUIET_PERIOD = timedelta(hours=6)
RETENTION = timedelta(days=30)


def watch(**kwargs: Any) -> None:
    """Begin and end incidents, and plan the notices about them. Without a rule, nothing is looked at."""
    if not cache.add("incidents.watched", True, PAUSE) or not NoticeRule.objects.exists():
        return
    present = _present()
    under_way = {(incident.kind, incident.subject): incident for incident in Incident.objects.filter(ended_at=None)}
    for cause in sorted(present.keys() - under_way.keys()):
        _begin(cause, present[cause])
    for cause, incident in under_way.items():
        _update_incident(incident, present.get(cause, ""))
    rules.plan_digests()
    old = Incident.objects.filter(ended_at__lt=Now() - RETENTION)
    if old.exists():
        old.delete()


def _present() -> dict[Cause, str]:
    """Return what needs staff now, each with what is known of it."""
    found = {(kind, ""): look() for kind, look in CHECKS.items()}
    for kind, each in CHECKS_BY_SUBJECT.items():
        found |= {(kind, subject): detail for subject, detail in each().items()}
    return {cause: detail for cause, detail in found.items() if detail}


def _begin(cause: Cause, detail: str) -> None:
    kind, subject = cause
    try:
        with transaction.atomic():
            incident = Incident.objects.create(kind=kind, subject=subject, detail=detail)
            rules.plan(incident, rules.Phase.BEGINNING)
    except IntegrityError:
        return  # Another worker was faster.


def _update_incident(incident: Incident, detail: str) -> None:
    """Note whether the cause is still there. End the incident once it has been absent for a while."""
    row = Incident.objects.filter(pk=incident.pk, ended_at=None)
    if detail:
        if detail != incident.detail or incident.absent_since:
            row.update(detail=detail, absent_since=None)
    elif incident.absent_since is None:
        row.update(absent_since=Now())
    elif row.filter(absent_since__lte=Now() - _quiet_period(incident)).exists():
        with transaction.atomic():
            if row.update(ended_at=Now()):
                rules.plan(incident, rules.Phase.END)


def _quiet_period(incident: Incident) -> timedelta:
    """Return how long an incident's cause must be absent: longer, the more alike there were within a day."""
    alike = Incident.objects.filter(kind=incident.kind, subject=incident.subject).exclude(pk=incident.pk)
    earlier = alike.filter(begun_at__gt=Now() - timedelta(days=1)).count()
    return min(MAX_QUIET_PERIOD, QUIET_PERIOD * 2.0 ** min(earlier, 10))


def _stopped() -> str:
    pause = gateway.current_pause()
    return pause.reason if pause and pause.until is None else ""


def _counted(number: int) -> str:
    return f"{number} account{pluralize(number)}." if number else ""


def _held() -> str:
    return _counted(Account.objects.filter(state=State.HELD).count())


def _rejected() -> str:
    return _counted(Account.objects.filter(state=State.REJECTED).count())


def _lost() -> str:
    return _counted(Account.objects.waiting_for_staff().exclude(state=State.HELD).count())


def missing_workers() -> dict[str, str]:
    """Return workers that stopped reporting, each with its name. One that shut down normally has deleted its row.

    Each start since makes up for one of them. The subject is a number: the first worker that is missing, the second.
    So each further one is reported, but not each death of one that starts again and again.
    """
    starts = Worker.objects.values_list("started_at", flat=True)
    missing: list[str] = []
    replaced = 0
    for worker in Worker.objects.exclude(pk__in=Worker.objects.alive()).order_by("-seen_at"):
        if sum(at > worker.seen_at for at in starts) > replaced:
            replaced += 1
        else:
            missing.insert(0, worker.name)
    return {str(number): f"{name} stopped reporting." for number, name in enumerate(missing, 1)}


def _off() -> dict[str, str]:
    """Return endpoints that were switched off, each with the reason. Staff see to each of them."""
    off = Endpoint.objects.given_up()
    return {str(endpoint.pk): f"{endpoint.name}: {endpoint.off_reason}" for endpoint in off}


def quota_running_out() -> str:
    """Return how much of the day's quota is used, once only its reserve is left; until then, an empty string."""
    if not gateway.is_down_to_reserve():
        return ""
    used = f"{gateway.calls_today()} of {settings.CONSTANT_CONTACT_DAILY_QUOTA} calls are used."
    return f"{used} The rest is reserved for new sign-ups, and corrections wait until 00:00 UTC."


CHECKS: dict[str, Callable[[], str]] = {
    Kind.STOPPED: _stopped,
    Kind.APPROVAL: _held,
    Kind.CORRECTION: _rejected,
    Kind.DECISION: _lost,
    Kind.QUOTA: quota_running_out,
}
"""Kind → a function that says what is wrong; empty if nothing is."""
CHECKS_BY_SUBJECT: dict[str, Callable[[], dict[str, str]]] = {Kind.WORKER: missing_workers, Kind.ENDPOINT: _off}
"""Kind whose incidents have subjects → a function that says what is wrong, by subject."""
