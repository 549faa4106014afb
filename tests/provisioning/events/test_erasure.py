"""What receivers answer about an erased account is not kept: it may repeat what they had got before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from provisioning import services
from provisioning.events import deliveries, endpoints
from provisioning.events.calls import Result
from provisioning.models import Account, Delivery, DeliveryAttempt
from tests.provisioning.events.queue import deliver, endpoint
from tests.provisioning.events.receiver import Answer, Receiver
from tests.provisioning.work import State, account_in

pytestmark = pytest.mark.django_db


def declined() -> Account:
    account = account_in(State.HELD)
    services.decline(account, "duplicate")
    return Account.objects.get(pk=account.pk)


def test_an_answer_that_comes_after_the_erasure_is_not_kept() -> None:
    told = endpoint("https://crm.example.com/", has_personal_fields=True)
    account = declined()
    deliveries.route()
    claims = deliveries.claim(told, 4)
    services.erase(account)
    deliveries.settle([(each, Result(timedelta(), 200, answer="Thanks, ANNA")) for each in claims])
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.status, attempt.answer) == (200, "")
    assert Delivery.objects.get().state == Delivery.State.DELIVERED


def test_an_answer_to_an_event_that_is_sent_again_is_not_kept(receiver: Receiver) -> None:
    receiver.answer = lambda received: Answer(200, b"Updated Anna")
    endpoint(receiver.url)
    account = declined()
    deliver()
    services.erase(account)
    endpoints.replay(Delivery.objects.get())
    deliver()
    assert [attempt.answer for attempt in DeliveryAttempt.objects.all()] == ["", ""]
