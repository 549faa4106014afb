"""Notices what needs staff, and when it is over. Runs as a worker's chore."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import Min
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
CALM = timedelta(minutes=10)
"""How long a cause must be absent before its incident is over. A cause that comes and goes is one incident. With each
further one of a day, the time doubles: a stranger can cause some, and their emails must stay few."""
LONGEST_CALM = timedelta(hours=6)
QUOTA = 0.8
KEPT = timedelta(days=30)


def watch(**kwargs: Any) -> None:
    """Begin and end incidents, and plan the notices about them. Without a rule, nothing is looked at."""
    if not cache.add("incidents.watched", True, PAUSE) or not NoticeRule.objects.exists():
        return
    present = _present()
    under_way = {(incident.kind, incident.subject): incident for incident in Incident.objects.filter(ended_at=None)}
    for cause in present.keys() - under_way.keys():
        _begin(cause, present[cause])
    for cause, incident in under_way.items():
        _follow(incident, present.get(cause, ""))
    rules.plan_digests()
    old = Incident.objects.filter(ended_at__lt=Now() - KEPT)
    if old.exists():
        old.delete()


def _present() -> dict[Cause, str]:
    """Return what needs staff now, each with what is known of it."""
    found = {(kind, ""): look() for kind, look in LOOKS.items()}
    found |= {(Kind.ENDPOINT.value, subject): detail for subject, detail in _off().items()}
    return {cause: detail for cause, detail in found.items() if detail}


def _begin(cause: Cause, detail: str) -> None:
    kind, subject = cause
    try:
        with transaction.atomic():
            incident = Incident.objects.create(kind=kind, subject=subject, detail=detail)
            rules.plan(incident, rules.Phase.BEGINNING)
    except IntegrityError:
        return  # Another worker was faster.


def _follow(incident: Incident, detail: str) -> None:
    """Note whether the cause is still there. End the incident once it has been absent for a while."""
    row = Incident.objects.filter(pk=incident.pk, ended_at=None)
    if detail:
        if detail != incident.detail or incident.absent_since:
            row.update(detail=detail, absent_since=None)
    elif incident.absent_since is None:
        row.update(absent_since=Now())
    elif row.filter(absent_since__lte=Now() - _calm(incident)).exists():
        with transaction.atomic():
            if row.update(ended_at=Now()):
                rules.plan(incident, rules.Phase.END)


def _calm(incident: Incident) -> timedelta:
    """Return how long an incident's cause must be absent: longer, the more alike there were within a day."""
    alike = Incident.objects.filter(kind=incident.kind, subject=incident.subject).exclude(pk=incident.pk)
    earlier = alike.filter(begun_at__gt=Now() - timedelta(days=1)).count()
    return min(LONGEST_CALM, CALM * 2.0 ** min(earlier, 10))


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


def _gone() -> str:
    """Describe workers that stopped reporting within the last hour and were not replaced since. One that was told to
    end has signed off."""
    silent = Worker.objects.exclude(pk__in=Worker.objects.alive()).filter(seen_at__gte=Now() - timedelta(hours=1))
    since = silent.aggregate(at=Min("seen_at"))["at"]
    if since is None:
        return ""
    number = silent.count() - Worker.objects.alive().filter(started_at__gt=since).count()
    return f"{number} worker{pluralize(number)} stopped reporting." if number > 0 else ""


def _off() -> dict[str, str]:
    """Return endpoints that were switched off, each with the reason. Staff see to each of them."""
    off = Endpoint.objects.filter(is_on=False).exclude(off_reason="")
    return {str(endpoint.pk): f"{endpoint.name}: {endpoint.off_reason}" for endpoint in off}


def _quota() -> str:
    quota: int = settings.CONSTANT_CONTACT_DAILY_QUOTA
    if gateway.calls_today() < QUOTA * quota:
        return ""
    used = f"{gateway.calls_today()} of {quota} calls are used."
    return f"{used} The rest is reserved for new sign-ups, and corrections wait until 00:00 UTC."


LOOKS: dict[str, Callable[[], str]] = {
    Kind.STOPPED: _stopped,
    Kind.APPROVAL: _held,
    Kind.CORRECTION: _rejected,
    Kind.DECISION: _lost,
    Kind.WORKER: _gone,
    Kind.QUOTA: _quota,
}
"""Kind → a function that says what is wrong; empty if nothing is. `_off` is for endpoints."""
