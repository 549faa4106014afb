"""The one row that holds the gateway's state, by the database's clock."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from provisioning.models import Gateway
from provisioning.signals import gateway_changed

log = logging.getLogger(__name__)

OVER_RATE_PAUSE = timedelta(seconds=1)
MAX_AHEAD = timedelta(minutes=1)
"""No permit is valid this far in the future, unless a clock was wrong."""
MAX_PAUSE = timedelta(hours=25)
"""No wait is this long, unless a clock was wrong: the quota is reset, and a `Retry-After` is over, within a day."""
RESERVE = 0.2
"""The share of the daily quota that is reserved for new sign-ups; corrections can't use it."""


@dataclass(frozen=True)
class Pause:
    """Why no call may start, and until when; None means until staff resume the gateway."""

    until: datetime | None
    reason: str


def state() -> Gateway:
    """Return the row, without locking it."""
    return Gateway.objects.get_or_create(pk=1)[0]


def now() -> datetime:
    """Return the time by the database's clock."""
    state()
    return clock()


def current_pause() -> Pause | None:
    """Return why and until when no call may start; None if calls may start."""
    return pause_at(state(), now())


def calls_today() -> int:
    """Return how many calls were made this UTC day."""
    gateway = state()
    return gateway.calls if gateway.day == now().date() else 0


def pages_today() -> int:
    """Return how many calls this UTC day read a page of the partner's list."""
    gateway = state()
    return gateway.pages if gateway.day == now().date() else 0


def is_down_to_reserve() -> bool:
    """Whether only the share of the daily quota that is reserved for new sign-ups is left."""
    quota: int = settings.CONSTANT_CONTACT_DAILY_QUOTA
    return calls_today() >= (1 - RESERVE) * quota


def until_reset() -> timedelta:
    """Return how long it takes until the daily quota is reset."""
    moment = now()
    return midnight_after(moment) - moment


def stop(reason: str) -> None:
    """Stop all calls until staff resume the gateway. If it has already stopped, the first reason is kept."""
    with transaction.atomic():
        gateway = locked()
        if not gateway.stop_reason:
            gateway.stopped_at, gateway.stop_reason = clock(), reason
            gateway.save()
            log.error("gateway stopped reason=%r", reason)
            gateway_changed.send(Gateway)


def resume() -> None:
    """Let calls start again after a stop or a pause."""
    with transaction.atomic():
        gateway = locked()
        gateway.paused_until, gateway.stopped_at, gateway.stop_reason = None, None, ""
        gateway.outages, gateway.probe_until, gateway.next_call_at = 0, None, clock()
        gateway.save()
        gateway_changed.send(Gateway)
    log.info("gateway resumed")


def pause_until(until: datetime, reason: str) -> None:
    """Pause until a time, or longer if it is already paused for longer."""
    gateway = locked()
    gateway.paused_until = max(until, gateway.paused_until or until)
    gateway.save()
    log.warning("gateway paused until=%s reason=%s", gateway.paused_until.isoformat(), reason)
    gateway_changed.send(Gateway)


def pause_at(gateway: Gateway, at: datetime) -> Pause | None:
    """Return why and until when no call may start at that time; None if one may."""
    if gateway.stop_reason:
        return Pause(None, gateway.stop_reason)
    if gateway.paused_until and gateway.paused_until > at:
        outage = "Constant Contact is unreachable or not giving clear answers. One call will check whether it is back."
        too_many = "Constant Contact asked us to pause: too many calls."
        return Pause(gateway.paused_until, outage if gateway.outages else too_many)
    if gateway.day == at.date() and gateway.calls >= settings.CONSTANT_CONTACT_DAILY_QUOTA:
        return Pause(midnight_after(at), "Today's quota of calls is used up.")
    return None


def locked() -> Gateway:
    """Return the row, locked until the caller's transaction ends."""
    state()
    return Gateway.objects.select_for_update().get(pk=1)


def clock() -> datetime:
    """Return the database's time. Call it after waiting for the lock."""
    now: datetime = Gateway.objects.values_list(Now(), flat=True).get(pk=1)
    return now


def midnight_after(now: datetime) -> datetime:
    """Return when the vendor resets the quota: the next 00:00 UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
