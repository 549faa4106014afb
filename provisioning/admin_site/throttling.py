"""Throttling of staff's logins: networks that guess passwords or codes are blocked, and guesses at a user slowed down.

Failures count for 15 minutes after the last one:

- by user and network: after 5, this network is blocked for this user for 15 minutes;
- by network: after 50, it is blocked for every user;
- by area, an IPv4 /24 or an IPv6 /48: after 200, it is blocked for every user;
- by user: after 10 from anywhere, each further guess has to wait 1, 2, 4 … 60 seconds.

Whatever the source, each process checks only a few passwords at a time (`limit_concurrency`), and leaves one turn to
areas without a failure.

A network is an IPv4 address or an IPv6 /64. If it is unknown, failures count by user only. A browser in which the user
has logged in before is counted on its own, so that a stranger can't lock them out: after 5 failures, it is blocked, and
so are all such browsers of a network after 50. A new password makes all browsers unknown. A guess made too early is not
checked and does not count.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_ip_address
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth import user_login_failed
from django.contrib.auth.models import User
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.db.models import F, Max, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils.timesince import timesince
from django.utils.timezone import now

from provisioning.backoff import exponential

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=15)
MAX_FAILURES = 5
MAX_FAILURES_OF_NETWORK = 50
MAX_FAILURES_OF_AREA = 200
FREE_FAILURES = 10
MAX_DELAY = timedelta(minutes=1)
AREA = "area"
"""Stored as the browser where the failures of a whole area are counted, under its first address and no username."""
YEAR = timedelta(days=365)
MAX_CONCURRENT = 2
"""How many passwords each process checks at a time: hashing one takes a whole core, which other pages need too."""

_password_checks = threading.BoundedSemaphore(MAX_CONCURRENT)
_password_checks_after_failures = threading.BoundedSemaphore(MAX_CONCURRENT - 1)


class TooManyLogins(Exception):
    """Raised when too many passwords are already being checked."""


class ThrottlingHandler(AxesDatabaseHandler):  # type: ignore[misc]  # it has no types
    """Counts failures for axes, which calls it before each login and shows the page that says to wait."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        wait = _wait(request, _username(credentials))
        if wait:
            # For that page, rounded up to the next minute.
            request.locked_for = timesince(now() - wait - timedelta(seconds=59))  # type: ignore[attr-defined]
        return bool(wait)

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **signal: Any) -> None:
        """Count a failure. Only the username is stored, never the password."""
        if request is None or request.axes_locked_out:
            return
        username = _username(credentials)
        with transaction.atomic():
            AccessAttempt.objects.filter(attempt_time__lte=now() - WINDOW).delete()
            network = request.axes_ip_address
            _count(username=username, ip_address=network, user_agent=_known_browser(request, username))
            if network:
                _count(username="", ip_address=_area(network), user_agent=AREA)
        log.warning("staff login failed network=%s", request.axes_ip_address)
        if self.is_locked(request, credentials):
            request.axes_locked_out, request.axes_credentials = True, credentials
            user_locked_out.send("axes", request=request, username=username, ip_address=request.axes_ip_address)


@contextmanager
def limit_concurrency(request: HttpRequest, username: str) -> Iterator[None]:
    """Check a password in this context, if few others are being checked. Raises TooManyLogins at once otherwise.

    It does not wait: a waiting thread can't serve other pages. A browser in which the user has logged in before is not
    limited.
    """
    needed = []
    if not is_known_browser(request, username):
        needed = [_password_checks_after_failures, _password_checks] if _has_failures(request) else [_password_checks]
    with ExitStack() as acquired:
        for semaphore in needed:
            if not semaphore.acquire(blocking=False):
                raise TooManyLogins
            acquired.callback(semaphore.release)
        yield


def count_failure(request: HttpRequest, username: str) -> None:
    """Count a wrong or missing code like a wrong password."""
    user_login_failed.send(__name__, credentials={"username": username}, request=request)


def _count(**source: Any) -> None:
    rows = AccessAttempt.objects.filter(**source)
    if not rows.exists():  # In a race, both requests create it, and one is ignored.
        AccessAttempt.objects.bulk_create([AccessAttempt(**source, failures_since_start=0)], ignore_conflicts=True)
    rows.update(failures_since_start=F("failures_since_start") + 1, attempt_time=now())


def forget_failures(**signal: Any) -> None:
    """Delete failures that no longer count. Runs as a worker's chore."""
    old = AccessAttempt.objects.filter(attempt_time__lte=now() - WINDOW)
    if old.exists():  # Usually there are none, and nothing is written.
        old.delete()


def remember_browser(response: HttpResponse, user: User) -> None:
    """Remember this browser as one in which the user has logged in."""
    response.set_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME,
        _signer(user).sign(secrets.token_urlsafe(16)),
        max_age=YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def is_known_browser(request: HttpRequest, username: str) -> bool:
    """Whether the user has logged in with this browser before, with the present password."""
    return bool(_known_browser(request, username))


def _known_browser(request: HttpRequest, username: str) -> str:
    """Return the ID of the browser, under which its failures are stored; empty if it is not known."""
    cookie = request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME)
    user = User.objects.filter(username=username).first() if cookie else None
    try:
        return _signer(user).unsign(cookie, max_age=YEAR) if user and cookie else ""
    except BadSignature:
        return ""


def _signer(user: User) -> TimestampSigner:
    """Return what signs the cookies of the user's browsers. A new password ends them, as it ends sessions."""
    return TimestampSigner(salt=f"known-browser.{user.pk}.{user.get_session_auth_hash()}")


def _username(credentials: dict[str, Any] | None) -> str:
    return str((credentials or {}).get("username") or "").replace("\0", "")[:255]


def _area(network: str) -> str:
    """Return the first address of the area that a network, given by its first address, belongs to."""
    bits = 24 if ip_address(network).version == 4 else 48
    return str(ip_network((network, bits), strict=False).network_address)


def _failures_of_area(network: str | None) -> Any:
    of_area = AccessAttempt.objects.filter(attempt_time__gt=now() - WINDOW, user_agent=AREA)
    return of_area.filter(ip_address=_area(network)) if network else of_area.none()


def _has_failures(request: HttpRequest) -> bool:
    """Whether a login from this area has failed."""
    return bool(_failures_of_area(get_client_ip_address(request)).exists())


def _wait(request: Any, username: str) -> timedelta:
    """Return how long the next guess at this user from here has to wait."""
    failures = AccessAttempt.objects.filter(attempt_time__gt=now() - WINDOW).exclude(user_agent=AREA)
    of_user = failures.filter(username=username)
    network = request.axes_ip_address
    here = Q(ip_address=network) if network else Q(pk=None)
    if browser := _known_browser(request, username):
        of_known = failures.exclude(user_agent="")  # No stranger can add to these.
        return max(
            _block(of_known.filter(user_agent=browser), MAX_FAILURES),
            _block(of_known.filter(here), MAX_FAILURES_OF_NETWORK),
        )
    return max(
        _block(of_user.filter(here), MAX_FAILURES),
        _block(failures.filter(here), MAX_FAILURES_OF_NETWORK),
        _block(_failures_of_area(network), MAX_FAILURES_OF_AREA),
        _delay(of_user),
    )


def _block(failures: Any, most: int) -> timedelta:
    count, last = _totals(failures)
    return max(last + WINDOW - now(), timedelta()) if count >= most else timedelta()


def _delay(failures: Any) -> timedelta:
    count, last = _totals(failures)
    if count < FREE_FAILURES:
        return timedelta()
    delay = exponential(timedelta(seconds=1), MAX_DELAY, count - FREE_FAILURES)
    return max(last + delay - now(), timedelta())


def _totals(failures: Any) -> tuple[int, datetime]:
    counted = failures.aggregate(count=Sum("failures_since_start"), last=Max("attempt_time"))
    return counted["count"] or 0, counted["last"] or datetime.min.replace(tzinfo=UTC)
