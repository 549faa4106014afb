"""The gateway: rate limit, daily quota, circuit breaker, stop and resume, shared by all workers.

Its state is one database row. Every call needs a permit from `acquire_permit()`. Permits are spaced evenly across all
workers, and counted per UTC day. `apply_answer()` pauses or stops all calls if an answer requires it:

- exceeding the rate limit or the quota pauses the gateway;
- a failed login, or a request refused as malformed, stops it until staff `resume()` it, because repeated failed logins
  lock the partner's account;
- answers that account creation never gives (404, a redirect, …), for three accounts in a row, also stop it: a setting
  is wrong;
- unclear answers (5xx, a timeout, HTML, …) and failed connections, five in a row for at least three accounts, open the
  circuit breaker: it pauses, longer each time, then lets one call at a time probe until one gets a clear answer.

One customer's input alone never causes any of this.
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
"""The factor by which permits are spaced further apart than the rate requires: 8 ms a second, so that a late start
(`LATE`) or network jitter doesn't push calls over the rate."""
LATE = 0.005
"""Seconds that a call may start late; after that its permit has expired."""
AHEAD = timedelta(milliseconds=250)
"""How long in advance a permit is given out, to write the evidence and to connect before the call is due."""
OVER_RATE_PAUSE = timedelta(seconds=1)
SENDS_PER_PAGE = 3
"""While both are waiting, how many calls for accounts are made per page of the partner's list."""
MAX_AHEAD = timedelta(minutes=1)
"""No permit is valid this far in the future, unless a clock was wrong."""
MAX_PAUSE = timedelta(hours=25)
"""No wait is this long, unless a clock was wrong: the quota is reset, and a `Retry-After` is over, within a day."""

RESERVE = 0.2
"""The share of the daily quota that is reserved for new sign-ups; corrections can't use it."""

UNUSABLE_ACCOUNTS = 3
"""How many accounts in a row must get an unusable answer before the gateway stops."""
UNCLEAR_ANSWERS, UNCLEAR_ACCOUNTS = 5, 3
"""How many unclear answers in a row, for how many accounts, open the circuit breaker."""
FIRST_OUTAGE_PAUSE, MAX_OUTAGE_PAUSE = timedelta(seconds=30), timedelta(minutes=10)

LIKELY_CAUSES = {
    401: "Check CONSTANT_CONTACT_USERNAME and CONSTANT_CONTACT_PASSWORD.",
    403: "The API key may be inactive or lack a scope: check CONSTANT_CONTACT_API_KEY.",
    404: "The API is not at this address: check CONSTANT_CONTACT_URL.",
    405: "A different service answers at this address: check CONSTANT_CONTACT_URL.",
    407: "A proxy requires a login: check the proxy environment variables.",
}
REDIRECTED = "This address redirects elsewhere: check CONSTANT_CONTACT_URL."

Outcome = Attempt.Outcome


@dataclass(frozen=True)
class Pause:
    """Why no call may start, and until when; None means until staff resume the gateway."""

    until: datetime | None
    reason: str


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


def acquire_permit(*, page: bool = False) -> Permit:
    """Reserve the next call, at most `AHEAD` from now. Raises CallNotPermitted if none may start yet.

    `page` means that the call reads a page of the partner's list. The permit counts whether or not the call is made.
    The row stays locked until the caller's transaction ends.
    """
    with transaction.atomic():
        gateway = _locked()
        before, now, after = monotonic(), _now(), monotonic()
        _discard_impossible_times(gateway, now)
        pace = timedelta(seconds=SLACK / settings.CONSTANT_CONTACT_RATE)
        if gateway.next_call_at > now:
            opens = ends = gateway.next_call_at
        else:  # No one is waiting for the next permit, so this one can leave time to connect.
            opens, ends = now, now + pace
        if paused := _pause(gateway, opens):
            raise CallNotPermitted(paused.until - now if paused.until else None)
        if gateway.outages and gateway.probe_until and gateway.probe_until > now:
            raise CallNotPermitted(min(gateway.probe_until - now, OVER_RATE_PAUSE))
        if opens - now > AHEAD:
            raise RateLimited(opens - now - AHEAD)
        if gateway.outages:
            gateway.probe_until = now + timedelta(seconds=settings.PROVISION_LEASE)
        _count_call(gateway, opens, page)
        gateway.next_call_at = ends + pace
        gateway.save()
        return Permit(after + (opens - now).total_seconds(), before + (ends - now).total_seconds() + LATE)


def is_page_next() -> bool:
    """Whether the next call should read a page of the list: enough accounts were sent since the last page."""
    return state().since_page >= SENDS_PER_PAGE


def apply_answer(answer: Answer) -> None:
    """Pause, stop or reopen the gateway if an answer requires it. Call it once the answer's attempt is complete."""
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
                if _count_accounts(takewhile(_is_unusable, _newest_calls())) >= UNUSABLE_ACCOUNTS:
                    stop(_reason(answer))
            case Meaning.UNKNOWN | Meaning.UNSENT:
                unclear = list(takewhile(_is_unclear, _newest_calls()))
                if len(unclear) >= UNCLEAR_ANSWERS and _count_accounts(iter(unclear)) >= UNCLEAR_ACCOUNTS:
                    _open_breaker()
            case Meaning.CREATED | Meaning.REFUSED | Meaning.TAKEN:
                Gateway.objects.filter(pk=1, outages__gt=0).update(outages=0, probe_until=None)
        Gateway.objects.filter(pk=1, probe_until__isnull=False).update(probe_until=None)


def stop(reason: str) -> None:
    """Stop all calls until staff resume the gateway. If it has already stopped, the first reason is kept."""
    with transaction.atomic():
        gateway = _locked()
        if not gateway.stop_reason:
            gateway.stopped_at, gateway.stop_reason = _now(), reason
            gateway.save()
            log.error("gateway stopped reason=%r", reason)


def resume() -> None:
    """Let calls start again after a stop or a pause."""
    with transaction.atomic():
        gateway = _locked()
        gateway.paused_until, gateway.stopped_at, gateway.stop_reason = None, None, ""
        gateway.outages, gateway.probe_until, gateway.next_call_at = 0, None, _now()
        gateway.save()
    log.info("gateway resumed")


def state() -> Gateway:
    """Return the row, without locking it."""
    return Gateway.objects.get_or_create(pk=1)[0]


def calls_today() -> int:
    """Return how many calls were made this UTC day."""
    gateway = state()
    return gateway.calls if gateway.day == now().date() else 0


def is_down_to_reserve() -> bool:
    """Whether only the share of the daily quota that is reserved for new sign-ups is left."""
    quota: int = settings.CONSTANT_CONTACT_DAILY_QUOTA
    return calls_today() >= (1 - RESERVE) * quota


def pages_today() -> int:
    """Return how many calls this UTC day read a page of the partner's list."""
    gateway = state()
    return gateway.pages if gateway.day == now().date() else 0


def current_pause() -> Pause | None:
    """Return why and until when no call may start; None if calls may start."""
    return _pause(state(), now())


def now() -> datetime:
    """Return the time by the database's clock."""
    state()
    return _now()


def failing_calls() -> str:
    """Describe the newest calls if several in a row failed to get a clear answer; empty otherwise."""
    hour = now() - timedelta(hours=1)
    calls = list(Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__gte=hour).order_by("-ended_at", "-pk")[:12])
    failed = list(takewhile(lambda call: call.outcome in (Outcome.UNKNOWN, Outcome.UNSENT, Outcome.UNUSABLE), calls))
    if len(failed) < UNUSABLE_ACCOUNTS:
        return ""
    got = {f"HTTP {call.status}" if call.status else "no answer" for call in failed}
    return f"{len(failed)} of the last {len(calls)} calls got {' or '.join(sorted(got))}."


def _pause(gateway: Gateway, at: datetime) -> Pause | None:
    if gateway.stop_reason:
        return Pause(None, gateway.stop_reason)
    if gateway.paused_until and gateway.paused_until > at:
        outage = "Constant Contact is unreachable or not giving clear answers. One call will check whether it is back."
        too_many = "Constant Contact asked us to pause: too many calls."
        return Pause(gateway.paused_until, outage if gateway.outages else too_many)
    if gateway.day == at.date() and gateway.calls >= settings.CONSTANT_CONTACT_DAILY_QUOTA:
        return Pause(_midnight_after(at), "Today's quota of calls is used up.")
    return None


def _count_call(gateway: Gateway, opens: datetime, page: bool) -> None:
    if gateway.day != opens.date():
        gateway.day, gateway.calls, gateway.pages = opens.date(), 0, 0
    gateway.calls += 1
    gateway.pages += page
    gateway.since_page = 0 if page else gateway.since_page + 1


def _discard_impossible_times(gateway: Gateway, now: datetime) -> None:
    """Discard times too far in the future: a clock was set back, or another host's clock is behind."""
    if gateway.next_call_at > now + max(MAX_AHEAD, timedelta(seconds=10 / settings.CONSTANT_CONTACT_RATE)):
        log.warning("clock went back next_call_at=%s now=%s", gateway.next_call_at, now)
        gateway.next_call_at = now
    if gateway.paused_until and gateway.paused_until > now + MAX_PAUSE:
        log.warning("clock went back paused_until=%s now=%s", gateway.paused_until, now)
        gateway.paused_until = None
    if gateway.probe_until and gateway.probe_until > now + timedelta(seconds=settings.PROVISION_LEASE):
        log.warning("clock went back probe_until=%s now=%s", gateway.probe_until, now)
        gateway.probe_until = None


def _pause_until(until: datetime, reason: str) -> None:
    """Pause until a time, or longer if it is already paused for longer."""
    gateway = _locked()
    gateway.paused_until = max(until, gateway.paused_until or until)
    gateway.save()
    log.warning("gateway paused until=%s reason=%s", gateway.paused_until.isoformat(), reason)


def _open_breaker() -> None:
    """Pause, longer each time. Answers to calls that were in flight when it paused do not extend the pause."""
    gateway = _locked()
    now = _now()
    if not (gateway.paused_until and gateway.paused_until > now):
        pause = min(FIRST_OUTAGE_PAUSE * 2 ** min(gateway.outages, 10), MAX_OUTAGE_PAUSE)
        gateway.outages += 1
        gateway.save()
        _pause_until(now + pause, "outage")


def _newest_calls() -> Iterator[Attempt]:
    """Return the newest completed create calls, newest first, except those that say nothing about the provider."""
    calls = Attempt.objects.filter(kind=Attempt.Kind.CREATE, ended_at__isnull=False).exclude(outcome=Outcome.NOT_DONE)
    return iter(calls.order_by("-ended_at", "-pk")[: 4 * UNCLEAR_ANSWERS])


def _is_unusable(call: Attempt) -> bool:
    return call.outcome == Outcome.UNUSABLE


def _is_unclear(call: Attempt) -> bool:
    return call.outcome in (Outcome.UNKNOWN, Outcome.UNSENT)


def _count_accounts(calls: Iterator[Attempt]) -> int:
    return len({call.account_id for call in calls})


def _locked() -> Gateway:
    state()
    return Gateway.objects.select_for_update().get(pk=1)


def _now() -> datetime:
    """Return the database's time. Call it after waiting for the lock."""
    now: datetime = Gateway.objects.values_list(Now(), flat=True).get(pk=1)
    return now


def _midnight_after(now: datetime) -> datetime:
    """Return when the vendor resets the quota: the next 00:00 UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def _reason(answer: Answer) -> str:
    """Return what Constant Contact answered, and what is probably wrong."""
    words = " ".join(re.sub(r"<[^>]*>", " ", answer.body).split())[:200]
    status = answer.status or 0
    cause = REDIRECTED if 300 <= status < 400 else LIKELY_CAUSES.get(status, "")
    reason = (answer.errors or words or "no reason given").rstrip(".")
    return f"Constant Contact answered {answer.status}: {reason}. {cause}".strip()
