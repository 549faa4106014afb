"""Deletes events that are too old to be replayed, endpoints that staff deleted, and secrets that no longer sign."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.db.models.functions import Now

from provisioning.events.deliveries import give_up
from provisioning.events.models import GRACE, Delivery, DeliveryAttempt, Endpoint, Event
from provisioning.events.outbox import RETENTION
from provisioning.models import Account
from provisioning.sealed import NOTHING

PAUSE = 10.0
"""Seconds between two rounds of each process."""
BATCH_SIZE = 200


def forget_answers(account: Account, **kwargs: Any) -> None:
    """Delete what receivers answered to events about an erased account: an answer may repeat its data."""
    DeliveryAttempt.objects.filter(delivery__event__account=account).update(answer="")


def purge(**kwargs: Any) -> None:
    """Delete the oldest events with their deliveries, and previous secrets after their grace. Runs as a chore.

    Deliveries that wait for an endpoint that is off are given up.
    """
    if not cache.add("events.purged", True, PAUSE):
        return
    off = Delivery.objects.filter(endpoint__in=Endpoint.objects.filter(is_on=False), due_at__isnull=False)
    if off.exists():  # Added by another worker while the endpoint was switched off.
        give_up(off)
    old = Event.objects.filter(at__lt=Now() - RETENTION).exclude(deliveries__state=Delivery.State.WAITING)
    if keys := list(old.order_by("at").values_list("pk", flat=True)[:BATCH_SIZE]):
        Event.objects.filter(pk__in=keys).delete()
    _delete_endpoints()
    rotated = Endpoint.objects.filter(rotated_at__lt=Now() - GRACE)
    if rotated.exists():
        rotated.update(previous_secret=NOTHING, rotated_at=None)


def _delete_endpoints() -> None:
    """Delete some deliveries of an endpoint that staff deleted, and then itself."""
    deleted = Endpoint.everything.filter(deleted_at__isnull=False).first()
    if deleted is None:
        return
    if keys := list(Delivery.objects.filter(endpoint=deleted).values_list("pk", flat=True)[:BATCH_SIZE]):
        Delivery.objects.filter(pk__in=keys).delete()
    else:
        deleted.delete()
