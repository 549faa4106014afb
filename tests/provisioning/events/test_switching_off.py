"""An endpoint that fails for long, or is gone, is switched off."""

from __future__ import annotations

from datetime import timedelta

import pytest

from provisioning.events.deliveries import OFF_AFTER
from provisioning.models import Delivery, Endpoint
from tests.provisioning.events.queue import an_event, deliver, endpoint, pass_time
from tests.provisioning.events.receiver import Receiver, fails

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def test_one_that_is_gone_is_switched_off(receiver: Receiver) -> None:
    receiver.answer = fails(410)
    endpoint(receiver.url)
    an_event()
    deliver()
    told = Endpoint.objects.get()
    assert (told.is_on, told.off_reason) == (False, "It answered 410, which means that it is gone for good.")
    an_event()
    pass_time(DAY)
    deliver()
    assert len(receiver.received) == 1


def test_one_that_fails_for_five_days_is_switched_off(receiver: Receiver) -> None:
    receiver.answer = fails()
    endpoint(receiver.url)
    for days in range(6):
        assert Endpoint.objects.get().is_on, days
        an_event()
        deliver()
        pass_time(OFF_AFTER / 5)
    assert "5 days" in Endpoint.objects.get().off_reason
    assert not Delivery.objects.filter(state=Delivery.State.WAITING).exists()


def test_one_that_works_now_and_then_stays_on(receiver: Receiver) -> None:
    endpoint(receiver.url)
    for number in range(6):
        receiver.answer = fails(204 if number % 2 else 500)
        an_event()
        deliver()
        pass_time(4 * DAY)
    assert Endpoint.objects.get().is_on
