"""Signing secrets are sealed like all others: keys can be rotated, and a lost one is noticed."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from provisioning import services
from provisioning.models import Delivery, DeliveryAttempt, Endpoint
from provisioning.sealed import CannotOpen
from tests.provisioning.events.queue import SECRET, an_event, deliver, endpoint
from tests.provisioning.events.receiver import Receiver

pytestmark = pytest.mark.django_db


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_secrets_are_sealed_with_a_new_key(settings: Settings) -> None:
    endpoint("https://crm.example.com/")
    settings.SEALING_KEYS = [new_key(), *settings.SEALING_KEYS]
    assert services.reseal() == (1, 0)
    settings.SEALING_KEYS = settings.SEALING_KEYS[:1]
    assert Endpoint.objects.get().secret.open() == SECRET


def test_a_lost_key_is_noticed_and_switches_the_endpoint_off(settings: Settings) -> None:
    endpoint("https://crm.example.com/")
    settings.SEALING_KEYS = [new_key()]
    with pytest.raises(CannotOpen):
        services.open_newest()
    assert services.discard_lost() == 1
    told = Endpoint.objects.get()
    assert (told.is_on, bool(told.secret)) == (False, False)
    assert "Replace the secret" in told.off_reason


def test_without_a_secret_nothing_is_sent(receiver: Receiver) -> None:
    endpoint(receiver.url)
    Endpoint.objects.update(secret=type(Endpoint.objects.get().secret)(""))
    an_event()
    deliver()
    assert receiver.received == []
    assert Delivery.objects.get().state == Delivery.State.WAITING
    assert "no signing secret" in DeliveryAttempt.objects.get().problem
