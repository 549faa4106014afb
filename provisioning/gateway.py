"""The gateway: rate limit, daily quota, circuit breaker, stop and resume, shared by all workers.

Its state is one row of the database. A call is made only with a slot from `take_slot()`; slots are spaced evenly over
all workers and counted for the UTC day. `apply_answer()` draws from each answer what concerns all calls:

- over the rate or the quota pauses the gateway;
- a failed login, or our own request refused as malformed, stops it until staff `resume()` it, because repeated wrong
  logins lock the partner's account;
- answers that no account creation gives (404, a redirect, …), to three accounts in a row, stop it too: a setting is
  wrong;
- no clear answer (5xx, a timeout, HTML, …), five times in a row to three accounts or more, pauses it, longer each
  time; afterwards one call at a time probes until one is answered clearly.

One customer's input alone never does any of this.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import takewhile
from time import monotonic, sleep

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from provisioning.constant_contact import Answer, Meaning
from provisioning.models import Attempt, Gateway

log = logging.getLogger(__name__)

SLACK = 1.008
"""Slots are this much further apart than the rate asks, so that a late call doesn't crowd the next ones: in any second,
as many calls as the rate allows take 8 ms longer, which `LATE` and the way to the provider may differ by."""
LATE = 0.005
"""Seconds that a call may start late; after that its slot is missed."""
AHEAD = timedelta(milliseconds=250)
"""How long before its time a slot is given, so that evidence is written and a connection stands when the time comes."""
OVER_RATE_PAUSE = timedelta(seconds=1)
SENDS_PER_PAGE = 3
"""Calls made for accounts between two that read the partner's list, while both are waiting."""
MOST_AHEAD = timedelta(minutes=1)
"""No slot is ever reserved this far ahead, but by a clock that was wrong."""
LONGEST_PAUSE = timedelta(hours=25)
"""No pause is ever this long: the quota is reset within a day."""

RESERVE = 0.2
"""The part of the day's quota that corrections leave to new sign-ups, however many there are."""

UNUSABLE_ACCOUNTS = 3
"""Different accounts in a row with an unusable answer after which the gateway stops."""
UNCLEAR_ANSWERS, UNCLEAR_ACCOUNTS = 5, 3
"""Unclear answers in a row, and different accounts among them, after which the gateway pauses."""
FIRST_OUTAGE_PAUSE, LONGEST_OUTAGE_PAUSE = timedelta(seconds=30), timedelta(minutes=10)

LIKELY_CAUSES = {
    401: "Check CONSTANT_CONTACT_USERNAME and CONSTANT_CONTACT_PASSWORD.",
    403: "The API key may be inactive or lack a scope: check CONSTANT_CONTACT_API_KEY.",
    404: "Nothing answers at this address: check CONSTANT_CONTACT_URL.",
    405: "Something else answers at this address: check CONSTANT_CONTACT_URL.",
    407: "A proxy wants a login: check the proxy variables of the environment.",
}
REDIRECTED = "This address leads elsewhere: check CONSTANT_CONTACT_URL."

Outcome = Attempt.Outcome


@dataclass(frozen=True)
class Pause:
    """Why no call may start, and until when; None: until staff resume."""

    until: datetime | None
    reason: str


class NoSlot(Exception):
    """No call may start now. `retry_in` says when to ask again; None: when staff have resumed the gateway."""

    def __init__(self, retry_in: timedelta | None) -> None:
        super().__init__(retry_in)
        self.retry_in = retry_in


class RateLimited(NoSlot):
    """No call may start now for no other reason than the rate."""

    retry_in: timedelta


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


def take_slot(*, page: bool = False) -> Slot:
    """Reserve the next call, which is `AHEAD` away at most. Raises NoSlot when none may start yet.

    `page` says that it reads a page of the partner's list. The slot is spent, whether or not the call is made; the row
    is locked until the caller's transaction ends.
    """
    with transaction.atomic():
        gateway = _locked()
        before, now, after = monotonic(), _now(), monotonic()
        _heal(gateway, now)
        pace = timedelta(seconds=SLACK / settings.CONSTANT_CONTACT_RATE)
        if gateway.next_call_at > now:
            opens = ends = gateway.next_call_at
        else:  # Nobody is waiting for the next slot, so this one can leave time to connect.
            opens, ends = now, now + pace
        if paused := _pause(gateway, opens):
            raise NoSlot(paused.until - now if paused.until else None)
        if gateway.outages and gateway.probe_until and gateway.probe_until > now:
            raise NoSlot(min(gateway.probe_until - now, OVER_RATE_PAUSE))
        if opens - now > AHEAD:
            raise RateLimited(opens - now - AHEAD)
        if gateway.outages:
            gateway.probe_until = now + timedelta(seconds=settings.PROVISION_LEASE)
        _count(gateway, opens, page)
        gateway.next_call_at = ends + pace
        gateway.save()
        return Slot(after + (opens - now).total_seconds(), before + (ends - now).total_seconds() + LATE)


def is_turn_of_page() -> bool:
    """Whether the list comes before accounts now: since the last page, enough calls were made for accounts."""
    return state().since_page >= SENDS_PER_PAGE


def apply_answer(answer: Answer) -> None:
    """Draw the conclusions from an answer that concern every call; its attempt, if it has one, is complete by now."""
    with transaction.atomic():
        match answer.meaning:
            case Meaning.STOP:
                stop(_reason(answer))
            case Meaning.OVER_RATE:
                _pause_until(now() + max(OVER_RATE_PAUSE, answer.retry_after or OVER_RATE_PAUSE), answer.meaning)
            case Meaning.OVER_QUOTA:
                reset = now() + answer.retry_after if answer.retry_after else _midnight_after(now())
                _pause_until(reset, answer.meaning)
            case Meaning.NOTHING_CREATED:
                if _different(takewhile(_is_unusable, _newest_calls())) >= UNUSABLE_ACCOUNTS:
                    stop(_reason(answer))
            case Meaning.UNKNOWN:
                unclear = list(takewhile(_is_unclear, _newest_calls()))
                if len(unclear) >= UNCLEAR_ANSWERS and _different(iter(unclear)) >= UNCLEAR_ACCOUNTS:
                    _open_breaker()
            case Meaning.CREATED | Meaning.REFUSED | Meaning.TAKEN:
                Gateway.objects.filter(pk=1, outages__gt=0).update(outages=0, probe_until=None)
        Gateway.objects.filter(pk=1, probe_until__isnull=False).update(probe_until=None)


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
        gateway.outages, gateway.probe_until, gateway.next_call_at = 0, None, _now()
        gateway.save()
    log.info("gateway resumed")


def state() -> Gateway:
    """The row as it is, without a lock."""
    return Gateway.objects.get_or_create(pk=1)[0]


def calls_today() -> int:
    """How many calls of this UTC day are spent."""
    gateway = state()
    return gateway.calls if gateway.day == now().date() else 0


def is_down_to_reserve() -> bool:
    """Whether nothing is left of the day's quota but what is kept for customers who have not been refused yet."""
    quota: int = settings.CONSTANT_CONTACT_DAILY_QUOTA
    return calls_today() >= (1 - RESERVE) * quota


def pages_today() -> int:
    """How many of them read pages of the partner's list."""
    gateway = state()
    return gateway.pages if gateway.day == now().date() else 0


def current_pause() -> Pause | None:
    """Why and until when no account is being sent; None while calls are made."""
    return _pause(state(), now())


def now() -> datetime:
    """The time by the database's clock."""
    state()
    return _now()


def failing_calls() -> str:
    """What the newest calls got while none was answered clearly, in words; empty while calls fare well."""
    hour = now() - timedelta(hours=1)
    calls = list(Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__gte=hour).order_by("-ended_at", "-pk")[:12])
    failed = list(takewhile(lambda call: call.outcome in (Outcome.UNKNOWN, Outcome.UNUSABLE), calls))
    if len(failed) < UNUSABLE_ACCOUNTS:
        return ""
    got = {f"HTTP {call.status}" if call.status else "no answer" for call in failed}
    return f"{len(failed)} of the last {len(calls)} calls got {' or '.join(sorted(got))}."


def _pause(gateway: Gateway, at: datetime) -> Pause | None:
    if gateway.stop_reason:
        return Pause(None, gateway.stop_reason)
    if gateway.paused_until and gateway.paused_until > at:
        outage = "Constant Contact gives no clear answers; one call will probe whether it does again."
        too_many = "Constant Contact asked for a pause: too many calls."
        return Pause(gateway.paused_until, outage if gateway.outages else too_many)
    if gateway.day == at.date() and gateway.calls >= settings.CONSTANT_CONTACT_DAILY_QUOTA:
        return Pause(_midnight_after(at), "The calls of this day are used up.")
    return None


def _count(gateway: Gateway, opens: datetime, page: bool) -> None:
    if gateway.day != opens.date():
        gateway.day, gateway.calls, gateway.pages = opens.date(), 0, 0
    gateway.calls += 1
    gateway.pages += page
    gateway.since_page = 0 if page else gateway.since_page + 1


def _heal(gateway: Gateway, now: datetime) -> None:
    """Let times pass that lie absurdly far ahead: a clock was set back, or that of another host is behind."""
    if gateway.next_call_at > now + max(MOST_AHEAD, timedelta(seconds=10 / settings.CONSTANT_CONTACT_RATE)):
        log.warning("clock went back next_call_at=%s now=%s", gateway.next_call_at, now)
        gateway.next_call_at = now
    if gateway.paused_until and gateway.paused_until > now + LONGEST_PAUSE:
        log.warning("clock went back paused_until=%s now=%s", gateway.paused_until, now)
        gateway.paused_until = None


def _pause_until(until: datetime, reason: str) -> None:
    """Let no call start before; a longer pause stands."""
    gateway = _locked()
    gateway.paused_until = max(until, gateway.paused_until or until)
    gateway.save()
    log.warning("gateway paused until=%s reason=%s", gateway.paused_until.isoformat(), reason)


def _open_breaker() -> None:
    """Pause, longer each time. Answers to calls that were under way when it paused do not lengthen the pause."""
    gateway = _locked()
    now = _now()
    if not (gateway.paused_until and gateway.paused_until > now):
        pause = min(FIRST_OUTAGE_PAUSE * 2 ** min(gateway.outages, 10), LONGEST_OUTAGE_PAUSE)
        gateway.outages += 1
        gateway.save()
        _pause_until(now + pause, "outage")


def _newest_calls() -> Iterator[Attempt]:
    """The newest answers to calls that create accounts, but for those that say nothing of the provider's state."""
    calls = Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__isnull=False).exclude(outcome=Outcome.NOT_DONE)
    return iter(calls.order_by("-ended_at", "-pk")[: 4 * UNCLEAR_ANSWERS])


def _is_unusable(call: Attempt) -> bool:
    return call.outcome == Outcome.UNUSABLE


def _is_unclear(call: Attempt) -> bool:
    return call.outcome == Outcome.UNKNOWN


def _different(calls: Iterator[Attempt]) -> int:
    return len({call.account_id for call in calls})


def _locked() -> Gateway:
    state()
    return Gateway.objects.select_for_update().get(pk=1)


def _now() -> datetime:
    """The database's time; ask after the wait for the lock."""
    now: datetime = Gateway.objects.values_list(Now(), flat=True).get(pk=1)
    return now


def _midnight_after(now: datetime) -> datetime:
    """When the vendor's quota is reset: 00:00 UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def _reason(answer: Answer) -> str:
    """Who answered what, and what is likely wrong."""
    said = "; ".join(f"{problem.error_key} {problem.error_message}".strip() for problem in answer.problems)
    words = " ".join(re.sub(r"<[^>]*>", " ", answer.body).split())[:200]
    status = answer.status or 0
    cause = REDIRECTED if 300 <= status < 400 else LIKELY_CAUSES.get(status, "")
    reason = (said or words or "no reason given").rstrip(".")
    return f"Constant Contact answered {answer.status}: {reason}. {cause}".strip()
