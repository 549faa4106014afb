"""Burst detection: in an abnormal hour, sign-ups that look alike are held for staff, to save the quota from attacks.

Every call to Constant Contact counts, for a sign-up or a correction. A burst is recognized by what its sign-ups have
in common, and all others pass. If too many still pass, the burst has nothing in common, and all are held.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone

from provisioning import rules
from provisioning.hosts import main_origin
from provisioning.models import Account, Incident
from provisioning.notices.rules import notifies_immediately
from signup import visitors

log = logging.getLogger(__name__)

MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=7)
NEVER_ABNORMAL = 200
"""This many calls in an hour always pass: 2% of a standard key's daily quota."""
TIMES_THE_USUAL = 10
"""A good newsletter brings a few times the usual number of customers; an attack brings many times that."""
FEW = 10
"""Fewer calls of one kind are never a burst."""
SHARES = {"area": 0.1, "pace": 0.1, "domain": 0.3, "host": 0.3}
"""Trait that calls may share → the share of an hour's calls that makes those with the same value a burst."""
PASSED, HELD = "passed", "held"
"""The counters of calls that passed and of calls that were held."""


class Burst(models.Model):
    """An abnormal time, in which sign-ups that look alike are held for staff. There is one at a time."""

    started_at = models.DateTimeField(db_default=Now())
    held_at = models.DateTimeField(db_default=Now())
    """When something was last held."""
    is_over = models.BooleanField(default=False)
    is_beginning_reported = models.BooleanField(default=False, db_column="is_beginning_told")
    is_end_reported = models.BooleanField(default=False, db_column="is_end_told")
    """Whether staff were emailed about it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_over"], condition=Q(is_over=False), name="one_burst_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


def traits(request: HttpRequest, email: str, seconds: float | None = None) -> dict[str, str]:
    """Return what a call may have in common with others: where it comes from, for whom, and how fast it was typed."""
    return {
        "area": visitors.area(request),
        "domain": rules.mailbox(email).rpartition("@")[2],
        "host": visitors.host_name(request) if len(settings.ALLOWED_HOSTS) > 1 else "",
        "pace": f"{seconds:.0f}" if seconds is not None and seconds < 30 else "",
    }


def must_compare(calls: Mapping[str, int]) -> bool:
    """Whether it matters how many calls are alike: in an abnormal hour, until all calls are held."""
    abnormal = _abnormal()
    return calls[PASSED] + calls[HELD] >= abnormal and calls[PASSED] < 2 * abnormal


def should_hold(calls: Mapping[str, int]) -> bool:
    """Whether to hold a call. `calls` are the last hour's: all that passed, all held, and those that share a trait.

    Above the abnormal number of calls, those from a busy area or at a common pace are held. Once one and a half times
    that number have passed, the mailbox domain and the brand's host are compared too. At twice that number, all are
    held.
    """
    abnormal = _abnormal()
    passed, together = calls.get(PASSED, 0), calls.get(PASSED, 0) + calls.get(HELD, 0)
    if together < abnormal:
        return False
    looked_at = SHARES if passed >= 1.5 * abnormal else ("area", "pace")
    alike = any(calls.get(name, 0) >= max(FEW, SHARES[name] * together) for name in looked_at)
    return alike or passed >= 2 * abnormal


def record_hold() -> None:
    """Record that a call was held, at most once a minute. The first one begins a burst."""
    if not cache.add("burst.noted", True, MINUTE.total_seconds()):
        return
    burst, new = Burst.objects.get_or_create(is_over=False)
    if new:
        log.warning("burst of sign-ups: those that look alike are held for staff")
    elif abs(timezone.now() - burst.held_at) > MINUTE:
        Burst.objects.filter(pk=burst.pk).update(held_at=Now())


def watch(**kwargs: Any) -> None:
    """Notice when a burst is over, and tell staff of its beginning and its end, once each. Runs as a worker's chore."""
    over = Burst.objects.filter(is_over=False, held_at__lt=Now() - HOUR)
    if over.exists() and over.update(is_over=True):
        log.warning("burst of sign-ups is over")
    if not settings.EMAIL_URL:
        return
    for burst in Burst.objects.filter(Q(is_beginning_reported=False) | Q(is_over=True, is_end_reported=False)):
        reported = {"is_beginning_reported": True, "is_end_reported": burst.is_over}
        as_read = {"is_beginning_reported": burst.is_beginning_reported, "is_end_reported": burst.is_end_reported}
        is_mine = Burst.objects.filter(pk=burst.pk, **as_read).update(**reported)
        if is_mine and not notifies_immediately(Incident.Kind.APPROVAL):  # A rule for it replaces these emails.
            threading.Thread(target=_email_staff, args=(burst,), name="burst").start()


def _abnormal() -> float:
    """Return the number of calls from which an hour is abnormal."""
    return max(NEVER_ABNORMAL, TIMES_THE_USUAL * _usual())


def _usual() -> float:
    """Return how many accounts are created in a usual hour. Held and closed ones don't count: they may be an attack."""
    return cache.get_or_set("burst.usual", _count_usual, HOUR.total_seconds()) or 0.0


def _count_usual() -> float:
    week = Account.objects.filter(state=Account.State.CREATED, submitted_at__gt=Now() - WEEK)
    return week.count() / (WEEK / HOUR)


def _email_staff(burst: Burst) -> None:
    try:
        staff = User.objects.with_perm(
            "provisioning.approve_account", backend="django.contrib.auth.backends.ModelBackend"
        ).filter(is_staff=True, is_active=True)
        addresses = [user.email for user in staff if user.email]
        if addresses:
            EmailMessage(*_text(burst), to=addresses, headers={"Auto-Submitted": "auto-generated"}).send()
    except Exception as error:
        log.warning("staff could not be emailed about a burst error=%s", type(error).__name__)
    finally:
        connection.close()


def _text(burst: Burst) -> tuple[str, str]:
    held = Account.objects.filter(state=Account.State.HELD).count()
    link = f"{main_origin()}{reverse('admin:provisioning_account_changelist')}?state__exact={Account.State.HELD}"
    waiting = f"{held} account{pluralize(held, ' is,s are')} waiting for you to approve or decline:\n\n{link}\n"
    if burst.is_over:
        return "The burst of sign-ups is over", f"No account has been held for an hour. {waiting}"
    return (
        "Sign-ups are being held",
        "Many more people than usual signed up within an hour. Sign-ups that look alike are held; all others continue"
        f" as usual. {waiting}",
    )
