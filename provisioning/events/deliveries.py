"""The queue of deliveries: events are routed to endpoints, deliveries claimed for a call, and the results settled.

Everything is by the database's clock. A claim is a lease: if its worker dies, the delivery is due again when the lease
ends, and the call is recorded without an end. A receiver that gets an event twice sees the same ID.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Least, Now

from provisioning.backoff import exponential
from provisioning.events import payload
from provisioning.events.calls import Call, Result
from provisioning.events.models import Delivery, DeliveryAttempt, Endpoint, Event
from provisioning.events.outbox import forget_subscribed
from provisioning.sealed import CannotOpen

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
"""Longer than a call's deadline, with time to look its name up and to store the result."""
RETRIED_FOR = timedelta(hours=72)
FIRST_BACK_OFF, MAX_BACK_OFF = timedelta(seconds=5), timedelta(hours=8)
TRIPLE = 3.0
"""The factor by which each back-off is longer than the one before it."""
JITTER = 0.2
"""The share by which a back-off may be longer or shorter, so that retries don't come all at once."""
OFF_AFTER = timedelta(days=5)
"""How long an endpoint may fail before it is switched off."""
LONG_FAILING = timedelta(minutes=10)
"""After this time, a receiver that works again gets at once what waits for it. One that fails now and then doesn't."""
BATCH_SIZE = 200

State = Delivery.State


@dataclass(frozen=True)
class Claim:
    """The right to make one call for a delivery, recorded as an attempt."""

    delivery: Delivery
    attempt: DeliveryAttempt
    endpoint: Endpoint
    call: Call | None
    """None if there is nothing to send; `problem` says why."""
    problem: str = ""


def route() -> int:
    """Add a delivery for each endpoint that wants a new event. Return how many events were routed."""
    new = Event.objects.filter(is_routed=False).order_by("pk")
    if not new.exists():  # Checked first, so that idle workers need no lock.
        return 0
    with transaction.atomic():
        events = list(new.select_for_update(skip_locked=True)[:BATCH_SIZE])
        endpoints = list(Endpoint.objects.on())
        Delivery.objects.bulk_create(
            Delivery(event=event, endpoint=endpoint, retried_until=Now() + RETRIED_FOR)
            for event in events
            for endpoint in endpoints
            if endpoint.wants(event)
        )
        return Event.objects.filter(pk__in=[event.pk for event in events]).update(is_routed=True)


def claim(endpoint: Endpoint, most: int) -> list[Claim]:
    """Claim up to `most` due deliveries to an endpoint, longest overdue first, and record the calls to come."""
    due = Delivery.objects.filter(endpoint=endpoint, due_at__lte=Now()).order_by("due_at", "pk")
    if not due.exists():
        return []
    with transaction.atomic():
        claimed = list(due.select_for_update(skip_locked=True)[:most])
        fence = uuid.uuid4()
        Delivery.objects.filter(pk__in=[each.pk for each in claimed]).update(
            claim=fence, due_at=Now() + LEASE, tries=F("tries") + 1
        )
        attempts = DeliveryAttempt.objects.bulk_create(DeliveryAttempt(delivery=each) for each in claimed)
    events = Event.objects.select_related("account").in_bulk(each.event_id for each in claimed)
    for each in claimed:
        each.claim, each.tries, each.event = fence, each.tries + 1, events[each.event_id]
    further = payload.further_fields(events.values())
    return [_claim(each, attempt, endpoint, further) for each, attempt in zip(claimed, attempts, strict=True)]


def _claim(delivery: Delivery, attempt: DeliveryAttempt, endpoint: Endpoint, further: payload.Further) -> Claim:
    event = delivery.event
    try:
        text = payload.body(event, endpoint, further)
        headers = payload.headers(event, endpoint, text)
        keys = payload.signing_keys(endpoint)
    except CannotOpen as error:
        return Claim(delivery, attempt, endpoint, None, str(error))
    current = payload.current_fields(event, endpoint)
    known = [current.get("attribution") or {}, current.get("customer") or {}]
    personal = [current.get("partner_account_id", ""), *(value for each in known for value in each.values())]
    secret = [*keys, *(key.partition("_")[2] for key in keys), headers["webhook-signature"]]
    return Claim(delivery, attempt, endpoint, Call(endpoint.url, headers, text.encode(), [*secret, *personal]))


def settle(results: Collection[tuple[Claim, Result]]) -> None:
    """Store what became of calls, in one transaction."""
    with transaction.atomic():
        for each, result in results:
            _complete(each, result)
        _forget_answers([each for each, result in results if result.answer])
        _settle_delivered([each for each, result in results if result.is_delivered])
        for each, result in results:
            if not result.is_delivered:
                _settle_failed(each, result)


def _complete(claim: Claim, result: Result) -> None:
    DeliveryAttempt.objects.filter(pk=claim.attempt.pk, ended_at=None).update(
        ended_at=Now(),
        duration=result.duration,
        status=result.status,
        problem=result.problem,
        answer=result.answer,
    )
    log.info(
        "event sent id=%s endpoint=%s status=%s", claim.delivery.event.webhook_id, claim.endpoint.pk, result.status
    )


def _forget_answers(claims: Collection[Claim]) -> None:
    """Don't keep what was answered about accounts that were erased meanwhile: it may repeat their data.

    This is a query of its own, so that it sees an erasure that held the rows until now.
    """
    keys = [claim.attempt.pk for claim in claims if claim.delivery.event.account_id]
    if keys:
        erased = DeliveryAttempt.objects.filter(pk__in=keys, delivery__event__account__erased_at__isnull=False)
        erased.update(answer="")


def _settle_delivered(claims: Collection[Claim]) -> None:
    """Record that receivers have these events, however late we learn it."""
    keys = [claim.delivery.pk for claim in claims]
    waiting = Delivery.objects.filter(pk__in=keys, state=State.WAITING)
    waiting.update(state=State.DELIVERED, due_at=None, claim=None, done_at=Now())
    for endpoint in {claim.endpoint.pk: claim.endpoint for claim in claims}.values():
        _note_success(endpoint)


def _settle_failed(claim: Claim, result: Result) -> None:
    """Plan the next try, unless this was the last one. A claim that was lost changes nothing."""
    wait = back_off(claim.delivery.tries, result.retry_after)
    mine = Delivery.objects.filter(pk=claim.delivery.pk, state=State.WAITING, claim=claim.delivery.claim)
    if not give_up(mine.filter(retried_until__lte=Now())):
        mine.update(due_at=Least(Now() + wait, F("retried_until")), claim=None)
    _note_failure(claim.endpoint, result)


def back_off(tries: int, retry_after: timedelta | None = None) -> timedelta:
    """Return how long to wait after that many tries: longer each time, and at least as long as the receiver asks."""
    usual = exponential(FIRST_BACK_OFF, MAX_BACK_OFF, tries - 1, TRIPLE)
    jittered = usual * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return max(jittered, retry_after or timedelta())


def _note_success(endpoint: Endpoint) -> None:
    """Record that an endpoint works. If it has failed for long, let it catch up at once."""
    failing = Endpoint.objects.filter(pk=endpoint.pk, failing_since__isnull=False)
    if not failing.exists():
        return
    if failing.filter(failing_since__lte=Now() - LONG_FAILING).exists():
        waiting = Delivery.objects.filter(endpoint=endpoint, state=State.WAITING, claim=None, due_at__gt=Now())
        waiting.update(due_at=Now())
    failing.update(failing_since=None)


def _note_failure(endpoint: Endpoint, result: Result) -> None:
    """Record that an endpoint fails. Switch it off if it is gone, or has been failing for too long."""
    row = Endpoint.objects.filter(pk=endpoint.pk)
    row.filter(failing_since=None).update(failing_since=Now())
    if result.retry_after:
        row.update(backs_off_until=Now() + result.retry_after)
    if result.is_gone:
        switch_off(endpoint, "It answered 410, which means that it is gone for good.")
    elif row.filter(failing_since__lte=Now() - OFF_AFTER).exists():
        switch_off(endpoint, f"It has been failing for {OFF_AFTER.days} days.")


def switch_off(endpoint: Endpoint, reason: str = "") -> None:
    """Switch an endpoint off; without a reason, staff did it. Waiting deliveries fail; staff can replay them."""
    with transaction.atomic():
        if Endpoint.objects.on().filter(pk=endpoint.pk).update(is_on=False, off_reason=reason):
            give_up(Delivery.objects.filter(endpoint=endpoint, state=State.WAITING))
            log.error("endpoint switched off endpoint=%s reason=%r", endpoint.pk, reason)
    forget_subscribed()


def give_up(waiting: QuerySet[Delivery]) -> int:
    """Don't try these deliveries again, unless staff replay them. Return how many there were."""
    return waiting.update(state=State.FAILED, due_at=None, claim=None, done_at=Now())
