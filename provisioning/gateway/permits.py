"""Permits: each call to Constant Contact needs one, and they are spaced evenly across all workers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic, sleep

from django.conf import settings
from django.db import transaction

from provisioning.gateway import row
from provisioning.models import Gateway

log = logging.getLogger(__name__)

SLACK = 1.008
"""The factor by which permits are spaced further apart than the rate requires: 8 ms a second, so that a late start
(`LATE`) or network jitter doesn't push calls over the rate."""
LATE = 0.005
"""Seconds that a call may start late; after that its permit has expired."""
AHEAD = timedelta(milliseconds=250)
"""How long in advance a permit is given out, to write the evidence and to connect before the call is due."""
LATENESS = (timedelta(milliseconds=250), timedelta(seconds=2))
"""By how much a call may start late with its second and third permit. A machine too busy to use a permit in time gets
one that is easier to use, before the call is given up."""
SENDS_PER_PAGE = 3
"""While both are waiting, how many calls for accounts are made per page of the partner's list."""


class CallNotPermitted(Exception):
    """No call may start now. `retry_in` is when to try again; None means after staff resume the gateway."""

    def __init__(self, retry_in: timedelta | None) -> None:
        super().__init__(retry_in)
        self.retry_in = retry_in


class RateLimited(CallNotPermitted):
    """No call may start now, only because of the rate limit."""

    retry_in: timedelta


class Permit:
    """Permission to start one call within a time window, by this process's clock."""

    def __init__(self, opens: float, ends: float) -> None:
        self._opens, self._ends = opens, ends

    def wait(self) -> bool:
        """Wait until the call may start. Returns False if it may not: the permit has expired or has been used."""
        sleep(max(0.0, self._opens - monotonic()))
        in_time = monotonic() < self._ends
        self._ends = 0.0
        return in_time


def acquire_permit(*, page: bool = False, lateness: timedelta = timedelta()) -> Permit:
    """Reserve the next call, at most `AHEAD` from now. Raises CallNotPermitted if none may start yet.

    `page` means that the call reads a page of the partner's list. The call may start late by `lateness`, for which all
    other calls wait. The permit counts whether or not the call is made. The row stays locked until the caller's
    transaction ends.
    """
    with transaction.atomic():
        gateway = row.locked()
        before, now, after = monotonic(), row.clock(), monotonic()
        _discard_impossible_times(gateway, now)
        pace = timedelta(seconds=SLACK / settings.CONSTANT_CONTACT_RATE)
        if gateway.next_call_at > now:
            opens = ends = gateway.next_call_at
        else:  # No one is waiting for the next permit, so this one can leave time to connect.
            opens, ends = now, now + pace
        ends += lateness
        if paused := row.pause_at(gateway, opens):
            raise CallNotPermitted(paused.until - now if paused.until else None)
        if gateway.outages and gateway.probe_until and gateway.probe_until > now:
            raise CallNotPermitted(min(gateway.probe_until - now, row.OVER_RATE_PAUSE))
        if opens - now > AHEAD:
            raise RateLimited(opens - now - AHEAD)
        if gateway.outages:
            gateway.probe_until = now + timedelta(seconds=settings.PROVISION_LEASE)
        _count_call(gateway, opens, page)
        gateway.next_call_at = ends + pace
        gateway.save()
        return Permit(after + (opens - now).total_seconds(), before + (ends - now).total_seconds() + LATE)


def wait_to_start(permit: Permit, another: Callable[[timedelta], Permit]) -> None:
    """Wait until a call may start. If its permit expires first, `another` acquires the next one, with this lateness.

    Raises TimeoutError on a machine too busy to use any of them, and whatever `another` raises.
    """
    for lateness in LATENESS:
        if permit.wait():
            return
        permit = another(lateness)
    if not permit.wait():
        raise TimeoutError


def expected_wait(calls: int, *, share: float = 1) -> timedelta | None:
    """Return about how long it takes until this many more calls have started, with this share of each daily quota.

    None means that nobody can say: Constant Contact can't be reached, or staff have to resume the gateway.
    """
    gateway, now = row.state(), row.clock()
    if gateway.stop_reason or gateway.outages:
        return None
    quota = max(1, int(settings.CONSTANT_CONTACT_DAILY_QUOTA * share))
    pace = timedelta(seconds=SLACK / settings.CONSTANT_CONTACT_RATE)
    begin = max(now, gateway.paused_until or now)
    left = max(0, quota - (gateway.calls if gateway.day == begin.date() else 0))
    if calls <= left:
        return begin - now + calls * pace
    days, rest = divmod(calls - left - 1, quota)
    return row.midnight_after(begin) - now + timedelta(days=days) + (rest + 1) * pace


def is_page_next() -> bool:
    """Whether the next call should read a page of the list: enough accounts were sent since the last page."""
    return row.state().since_page >= SENDS_PER_PAGE


def _count_call(gateway: Gateway, opens: datetime, page: bool) -> None:
    if gateway.day != opens.date():
        gateway.day, gateway.calls, gateway.pages = opens.date(), 0, 0
    gateway.calls += 1
    gateway.pages += page
    gateway.since_page = 0 if page else gateway.since_page + 1


def _discard_impossible_times(gateway: Gateway, now: datetime) -> None:
    """Discard times too far in the future: a clock was set back, or another host's clock is behind."""
    if gateway.next_call_at > now + max(row.MAX_AHEAD, timedelta(seconds=10 / settings.CONSTANT_CONTACT_RATE)):
        log.warning("clock went back next_call_at=%s now=%s", gateway.next_call_at, now)
        gateway.next_call_at = now
    if gateway.paused_until and gateway.paused_until > now + row.MAX_PAUSE:
        log.warning("clock went back paused_until=%s now=%s", gateway.paused_until, now)
        gateway.paused_until = None
    if gateway.probe_until and gateway.probe_until > now + timedelta(seconds=settings.PROVISION_LEASE):
        log.warning("clock went back probe_until=%s now=%s", gateway.probe_until, now)
        gateway.probe_until = None
