"""Helpers for tests of the queue of deliveries."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import F

from provisioning.events.deliverer import Deliverer
from provisioning.events.models import EventType
from provisioning.models import Delivery, DeliveryAttempt, Endpoint, Event
from provisioning.sealed import Sealed

SECRET = "whsec_" + "goldfinch" * 4
EVERYTHING = list(EventType)


def endpoint(url: str, **values: Any) -> Endpoint:
    """Create an endpoint that wants everything, unless told otherwise."""
    usual = {"name": "CRM", "events": EVERYTHING, "secret": Sealed.of(SECRET)}
    return Endpoint.objects.create(url=url, **usual | values)


def an_event(**values: Any) -> Event:
    return Event.objects.create(**{"type": EventType.STOPPED, "data": {"reason": "A test."}} | values)


def deliver() -> None:
    """Deliver what is due, like a worker."""
    Deliverer(threading.Event()).run(once=True)


def deliver_and_disconnect() -> None:
    """Deliver on a thread of its own."""
    try:
        deliver()
    finally:
        connection.close()


def pass_time(time: timedelta) -> None:
    """Let time pass by moving all stored times of events into the past."""
    Event.objects.update(at=F("at") - time)
    Delivery.objects.update(due_at=F("due_at") - time, retried_until=F("retried_until") - time)
    DeliveryAttempt.objects.update(started_at=F("started_at") - time)
    Endpoint.objects.update(
        failing_since=F("failing_since") - time,
        backs_off_until=F("backs_off_until") - time,
        rotated_at=F("rotated_at") - time,
    )
