"""The one gateway to Constant Contact: rate, daily quota, pause, stop and resume, shared by all workers.

Its state is one row of the database. A call is made only with a slot from `take_slot()`; slots are spaced evenly over
all workers and counted for the UTC day. What an answer says about all calls alike is drawn by `heed()`: over the rate
or the quota pauses the gateway, a failed log-in or a malformed request stops it until staff `resume()` it, because
repeated wrong log-ins lock the partner's account.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from time import monotonic, sleep

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from provisioning.constant_contact import Answer, Meaning
from provisioning.models import Gateway

log = logging.getLogger(__name__)

SLACK = 1.03
"""Slots lie this much further apart than the rate asks, so that a late call does not crowd the next ones."""
LATE = 0.02
"""Seconds that a call may start late, which `SLACK` makes up for; after that its slot is missed."""
AHEAD = timedelta(milliseconds=250)
"""How long before its time a slot is given, so that evidence is written and a connection stands when the time comes."""
OVER_RATE_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True)
class Closure:
    """Why no call may start, and until when; None: until staff resume."""

    until: datetime | None
    reason: str


class Shut(Exception):
    """No call may start now. `opens_in` says when to ask again; None: when staff have resumed the gateway."""

    def __init__(self, opens_in: timedelta | None) -> None:
        super().__init__(opens_in)
        self.opens_in = opens_in


class TooSoon(Shut):
    """No call may start now for no other reason than the pace."""

    opens_in: timedelta


class Slot:
    """The right to start one call, from one moment to another by the clock of this process."""

    def __init__(self, opens: float, ends: float) -> None:
        self._opens, self._ends = opens, ends

    def wait(self) -> bool:
        """Return when the call may start. False when it may not: the slot was missed, or has been used before."""
        sleep(max(0.0, self._opens - monotonic()))
        in_time = monotonic() < self._ends
        self._ends = 0.0
        return in_time


def take_slot() -> Slot:
    """Reserve the next call, which is `AHEAD` away at most. Raises Shut when none may start yet.

    The slot is spent, whether or not the call is made; the row is locked until the caller's transaction ends.
    """
    with transaction.atomic():
        gateway = _locked()
        before, now, after = monotonic(), _now(), monotonic()
        pace = timedelta(seconds=SLACK / settings.CONSTANT_CONTACT_RATE)
        if gateway.next_call_at > now:
            opens = ends = gateway.next_call_at
        else:  # Nobody is waiting for the next slot, so this one can leave time to connect.
            opens, ends = now, now + pace
        if closed := _closure(gateway, opens):
            raise Shut(closed.until - now if closed.until else None)
        if opens - now > AHEAD:
            raise TooSoon(opens - now - AHEAD)
        gateway.calls = gateway.calls + 1 if gateway.day == opens.date() else 1
        gateway.day = opens.date()
        gateway.next_call_at = ends + pace
        gateway.save()
        return Slot(after + (opens - now).total_seconds(), before + (ends - now).total_seconds() + LATE)


def heed(answer: Answer) -> None:
    """Draw the conclusions from an answer that concern every call."""
    with transaction.atomic():
        if answer.meaning == Meaning.STOP:
            stop(_reason(answer))
        elif answer.meaning in (Meaning.OVER_RATE, Meaning.OVER_QUOTA):
            gateway, now = _locked(), _now()
            until = now + OVER_RATE_PAUSE if answer.meaning == Meaning.OVER_RATE else _midnight_after(now)
            gateway.paused_until = max(until, gateway.paused_until or until)
            gateway.save()
            log.warning("gateway paused until=%s reason=%s", gateway.paused_until.isoformat(), answer.meaning)


def stop(reason: str) -> None:
    """Let no call start until staff resume. The first reason stands."""
    with transaction.atomic():
        gateway = _locked()
        if not gateway.stop_reason:
            gateway.stopped_at, gateway.stop_reason = _now(), reason
            gateway.save()
            log.error("gateway stopped reason=%r", reason)


def resume() -> None:
    """Let calls start again, whether it was paused or stopped."""
    with transaction.atomic():
        gateway = _locked()
        gateway.paused_until, gateway.stopped_at, gateway.stop_reason = None, None, ""
        gateway.save()
    log.info("gateway resumed")


def state() -> Gateway:
    """The row as it is, without a lock."""
    return Gateway.objects.get_or_create(pk=1)[0]


def calls_today() -> int:
    """How many calls of this UTC day are spent."""
    gateway = state()
    return gateway.calls if gateway.day == _now().date() else 0


def closure() -> Closure | None:
    """Why and until when no account is being sent; None while calls are made."""
    return _closure(state(), _now())


def _closure(gateway: Gateway, at: datetime) -> Closure | None:
    if gateway.stop_reason:
        return Closure(None, gateway.stop_reason)
    if gateway.paused_until and gateway.paused_until > at:
        return Closure(gateway.paused_until, "Constant Contact asked for a pause: too many calls.")
    if gateway.day == at.date() and gateway.calls >= settings.CONSTANT_CONTACT_DAILY_QUOTA:
        return Closure(_midnight_after(at), "The calls of this day are used up.")
    return None


def _locked() -> Gateway:
    state()
    return Gateway.objects.select_for_update().get(pk=1)


def _now() -> datetime:
    """The database's time; ask after the wait for the lock."""
    now: datetime = Gateway.objects.values_list(Now(), flat=True).get(pk=1)
    return now


def _midnight_after(now: datetime) -> datetime:
    """When the vendor's quota starts anew: 00:00 UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def _reason(answer: Answer) -> str:
    said = "; ".join(f"{problem.error_key} {problem.error_message}".strip() for problem in answer.problems)
    return f"Constant Contact answered {answer.status}: {said or 'no reason given'}"
