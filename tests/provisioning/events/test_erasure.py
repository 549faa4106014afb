"""What is kept of receivers' answers: no customer's values, and after an erasure, nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from provisioning import services
from provisioning.events import deliveries, endpoints
from provisioning.events.calls import Result
from provisioning.models import Account, Delivery, DeliveryAttempt
from tests.provisioning.events.queue import deliver, endpoint
from tests.provisioning.events.receiver import Answer, Receiver
from tests.provisioning.work import State, account_in, sign_up

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


def test_values_are_masked_however_they_are_spelled(receiver: Receiver) -> None:
    """PHP, for example, escapes accents and slashes in JSON."""

    def repeat(received: Any) -> Answer:
        values = received.event["data"]["customer"]
        return Answer(500, json.dumps([values["organization_name"], values["website"]]).replace("/", "\\/").encode())

    receiver.answer = repeat
    endpoint(receiver.url, has_personal_fields=True)
    sign_up(organization_name="Café Crème", website="https://creme.example.com")
    deliver()
    answer = DeliveryAttempt.objects.get().answer
    assert answer == '["•••", "•••"]'
