"""What an endpoint gets: only its brand's sign-ups, and nothing of the time when it was off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning import services
from provisioning.events import deliveries, endpoints, upkeep
from provisioning.events.calls import Call
from provisioning.models import Account, Delivery, DeliveryAttempt, Endpoint, Event
from tests.provisioning.events.queue import an_event, deliver, endpoint, pass_time
from tests.provisioning.events.receiver import Receiver
from tests.provisioning.work import sign_up

pytestmark = pytest.mark.django_db


def test_an_endpoint_of_a_brand_gets_no_sign_up_of_an_unknown_host(receiver: Receiver) -> None:
    endpoint(receiver.url, host="alder.example.com")
    sign_up()
    assert Account.objects.get().host == ""
    an_event()
    deliver()
    assert receiver.types == ["gateway.stopped"]


def test_an_endpoint_gets_no_event_of_a_time_when_it_was_off(receiver: Receiver) -> None:
    told = endpoint(receiver.url)
    an_event()
    deliveries.route()
    Endpoint.objects.update(is_on=False)  # As if another worker had added the delivery a moment later.
    upkeep.purge()
    assert Delivery.objects.get().state == Delivery.State.FAILED
    endpoints.switch_on(told)
    deliver()
    assert receiver.received == []


def test_an_endpoint_that_was_off_during_a_pause_gets_nothing_from_before(receiver: Receiver) -> None:
    told = endpoint(receiver.url, backs_off_until=Now() + timedelta(hours=1))
    an_event()
    deliver()
    endpoints.switch_off(told)
    endpoints.switch_on(told)
    deliver()
    assert receiver.received == []
    assert Delivery.objects.get().state == Delivery.State.FAILED


def test_an_endpoint_whose_secret_is_lost_keeps_no_events_forever(settings: Settings) -> None:
    endpoint("https://crm.example.com/")
    an_event()
    deliveries.route()
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    services.discard_lost()
    upkeep.purge()
    pass_time(timedelta(days=31))
    cache.clear()
    upkeep.purge()
    assert not Event.objects.exists()


def test_an_endpoint_that_staff_delete_is_deleted_with_its_deliveries_a_few_at_a_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, no other write waits long for them."""
    monkeypatch.setattr(upkeep, "BATCH_SIZE", 2)
    told, other = endpoint(receiver.url), endpoint(receiver.url, name="Shop")
    for _ in range(3):
        an_event()
    deliver()
    endpoints.delete(told)
    assert list(Endpoint.objects.all()) == [other]
    left = []
    for _ in range(3):
        cache.clear()
        upkeep.purge()
        left.append((Endpoint.everything.count(), told.deliveries.count()))
    assert left == [(2, 1), (2, 0), (1, 0)]
    assert (Event.objects.count(), other.deliveries.count(), DeliveryAttempt.objects.count()) == (3, 3, 3)


def test_an_endpoint_that_staff_delete_gets_nothing_any_more(receiver: Receiver) -> None:
    told = endpoint(receiver.url)
    an_event()
    deliveries.route()
    endpoints.delete(told)
    endpoints.switch_on(told)
    an_event()
    deliver()
    assert receiver.received == []
    stored = Endpoint.everything.get()
    assert not any((stored.secret, stored.previous_secret, stored.is_on))


def test_a_call_does_not_show_its_url() -> None:
    """A URL may hold a token; that of a Slack channel is one."""
    assert "canary" not in repr(Call("https://hooks.example.com/canary", {"webhook-signature": "canary"}, b"canary"))
