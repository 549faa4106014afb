"""Writes events, each in the transaction of the move that it tells of.

No event is written that no endpoint wants. What endpoints want is read at most once a second by each process, so a
sign-up costs no query for it. A new or changed endpoint gets events from at most a second later: it never missed any
that it was promised. Which endpoints get an event is decided only when it is routed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from provisioning import gateway
from provisioning.events.models import Endpoint, Event, EventType
from provisioning.models import Account, Gateway

State = Account.State

EVENT_TYPES = {
    State.HELD: EventType.HELD,
    State.CREATED: EventType.CREATED,
    State.REJECTED: EventType.REJECTED,
    State.CLOSED: EventType.CLOSED,
}
"""State → the event about reaching it. The other states are steps on the way."""
GATEWAY_EVENTS = {EventType.STOPPED, EventType.PAUSED, EventType.RESUMED}
RETENTION = timedelta(days=30)
"""How long events and their deliveries are kept."""
FRESH = 1.0
"""Seconds for which it is cached what endpoints want."""
BATCH_SIZE = 25
"""How many accounts one round looks at, so that it stays short."""
SHORT = timedelta(seconds=10)
"""A shorter pause of the gateway is part of keeping to the rate limit, and no event."""
_CACHED = "events.subscribed_types"


def subscribed_types() -> frozenset[str]:
    """Return the types of events that any endpoint wants. It may be `FRESH` seconds old."""
    types: frozenset[str] | None = cache.get(_CACHED)
    if types is None:
        types = frozenset(name for names in Endpoint.objects.on().values_list("events", flat=True) for name in names)
        cache.set(_CACHED, types, FRESH)
    return types


def forget_subscribed(**kwargs: Any) -> None:
    """Read again what endpoints want, because one has changed."""
    cache.delete(_CACHED)


def record_submission(account: Account, **kwargs: Any) -> None:
    """Write the events about a new sign-up."""
    subscribed = subscribed_types()
    types = [EventType.RECEIVED, *([EventType.HELD] if account.state == State.HELD else [])]
    if types := [name for name in types if name in subscribed]:
        account = Account.objects.get(pk=account.pk)
        Event.objects.bulk_create(_about(account, name) for name in types)


def record_move(account: Account, to: str, **kwargs: Any) -> None:
    """Write the event about a move, if there is one."""
    name = EVENT_TYPES.get(State(to))
    if name and name in subscribed_types():
        moved = Account.objects.get(pk=account.pk)
        _about(moved, name, previous_state=account.state).save()


def record_stuck_accounts(**kwargs: Any) -> None:
    """Write events about sign-ups that have become stuck without staff. Runs as a worker's chore."""
    if EventType.NEEDS_STAFF not in subscribed_types():
        return
    reported = Event.objects.filter(
        type=EventType.NEEDS_STAFF, account=OuterRef("pk"), at__gte=OuterRef("state_changed_at")
    )
    stuck = Account.objects.waiting_for_staff().exclude(state=State.HELD)  # There is an event of its own for these.
    unreported = stuck.filter(~Exists(reported), state_changed_at__gt=Now() - RETENTION)
    if unreported.exists():
        with transaction.atomic():
            ours = list(unreported.select_for_update(of=("self",), skip_locked=True)[:BATCH_SIZE])
            # Another worker may have reported one, and unlocked it, after that query began. This one sees it.
            for account in unreported.filter(pk__in=[each.pk for each in ours]):
                _about(account, EventType.NEEDS_STAFF).save()


def record_gateway_change(**kwargs: Any) -> None:
    """Write an event unless the last one already reported the gateway's state.

    Runs in the transaction of a stop, a pause, or a resumption, and as a worker's chore: a pause ends automatically,
    and begins when the day's quota is used up.
    """
    if subscribed_types().isdisjoint(GATEWAY_EVENTS):
        return
    pause = gateway.current_pause()
    row = gateway.state()
    state = _state_of(row, pause)
    if state == row.reported_state:
        return
    with transaction.atomic():
        if not Gateway.objects.filter(pk=row.pk, reported_state=row.reported_state).update(reported_state=state):
            return  # Another worker reported it.
        name = {"": EventType.RESUMED, "paused": EventType.PAUSED, "stopped": EventType.STOPPED}[state]
        if name in subscribed_types():
            until = iso(pause.until) if pause else None
            Event.objects.create(type=name, data={"reason": pause.reason if pause else "", "until": until})


def _state_of(row: Gateway, pause: gateway.Pause | None) -> str:
    """Return the state to report. Between the pauses of one outage, it is still paused."""
    reported = Gateway.ReportedState
    was_paused = row.reported_state == reported.PAUSED
    if pause is None:
        return reported.PAUSED if row.outages and was_paused else ""
    if pause.until is None:
        return reported.STOPPED
    is_short = pause.until - gateway.now() < SHORT and not was_paused
    return "" if is_short else reported.PAUSED


def _about(account: Account, name: str, **more: Any) -> Event:
    """Return an event about an account as it is now, without personal data."""
    last = account.last_rejection() if account.state == State.REJECTED else None
    refused = [{"property": key, "code": last.refused_keys.get(key, "")} for key in last.refused] if last else []
    data = {
        "reference": str(account.reference),
        "state": account.state,
        "host": account.host,
        "language": account.language,
        "country_code": account.country_code,
        "account_id": account.account_id,
        "refused": refused,
        "decline_reason": account.decline_reason,
        "submitted_at": iso(account.submitted_at),
        "state_changed_at": iso(account.state_changed_at),
        "created_at": iso(account.created_at),
    }
    return Event(type=name, account=account, host=account.host, data=data | more)


def iso(at: datetime | None) -> str | None:
    """Return a time in UTC as events spell it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
