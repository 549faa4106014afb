"""Staff's actions on endpoints and deliveries."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from provisioning.events import payload
from provisioning.events.deliveries import RETRIED_FOR
from provisioning.events.deliveries import switch_off as switch_off
from provisioning.events.models import TEST, Delivery, Endpoint, Event
from provisioning.events.outbox import forget_subscribed
from provisioning.sealed import NOTHING, Sealed


def give_secret(endpoint: Endpoint) -> None:
    """Give a new endpoint, which is not stored yet, its signing secret."""
    endpoint.secret = Sealed.of(payload.new_secret())


def rotate(endpoint: Endpoint) -> None:
    """Give an endpoint a new signing secret. The previous one signs too, for a day."""
    Endpoint.objects.filter(pk=endpoint.pk).update(
        secret=Sealed.of(payload.new_secret()), previous_secret=F("secret"), rotated_at=Now()
    )


def switch_on(endpoint: Endpoint) -> None:
    """Send events to an endpoint again. Events that it missed are not sent, unless staff replay them."""
    Endpoint.objects.filter(pk=endpoint.pk).update(is_on=True, off_reason="", failing_since=None, backs_off_until=None)
    forget_subscribed()


def delete(endpoint: Endpoint) -> None:
    """Delete an endpoint and its secrets. Workers delete its deliveries, because there may be very many."""
    with transaction.atomic():
        switch_off(endpoint)
        Endpoint.objects.filter(pk=endpoint.pk).update(
            deleted_at=Now(), secret=NOTHING, previous_secret=NOTHING, off_reason=""
        )


def send_test(endpoint: Endpoint) -> Delivery:
    """Send a test event to an endpoint. Its delivery shows what became of it."""
    with transaction.atomic():
        event = Event.objects.create(type=TEST, data={"message": "This is a test."}, is_routed=True)
        return Delivery.objects.create(event=event, endpoint=endpoint, retried_until=Now())  # One try is enough.


def replay(delivery: Delivery) -> bool:
    """Send a delivery again, signed with the secret that is in force then. Return False if it is waiting anyway."""
    done = Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.State.WAITING)
    return bool(
        done.update(
            state=Delivery.State.WAITING,
            due_at=Now(),
            claim=None,
            tries=0,
            done_at=None,
            retried_until=Now() + RETRIED_FOR,
        )
    )
