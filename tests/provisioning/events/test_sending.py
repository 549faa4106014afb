"""Deliveries: signed, recorded, and over real HTTP."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from standardwebhooks.webhooks import WebhookVerificationError

from provisioning import services
from provisioning.events import endpoints, upkeep
from provisioning.events.models import EventType
from provisioning.models import Account, Delivery, DeliveryAttempt, Endpoint, Event
from tests.provisioning.events.queue import SECRET, an_event, deliver, deliver_and_disconnect, endpoint, pass_time
from tests.provisioning.events.receiver import Answer, Receiver, fails
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, sign_up

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class TestAReceiver:
    def test_can_verify_what_it_gets(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        account = sign_up()
        deliver()
        [received] = receiver.received
        event = received.verify(SECRET)
        assert (event["type"], event["data"]["reference"]) == ("signup.received", str(account.reference))
        assert received.id == Event.objects.get().webhook_id
        with pytest.raises(WebhookVerificationError):
            received.verify("whsec_" + "sparrow1" * 4)

    def test_gets_only_the_types_that_it_wants(self, receiver: Receiver) -> None:
        endpoint(receiver.url, events=[EventType.RESUMED])
        endpoint(f"{receiver.url}?all")
        an_event(type=EventType.STOPPED)
        an_event(type=EventType.RESUMED)
        deliver()
        got = sorted((received.path, received.event["type"]) for received in receiver.received)
        assert got == [
            ("/events", "gateway.resumed"),
            ("/events?all", "gateway.resumed"),
            ("/events?all", "gateway.stopped"),
        ]

    def test_gets_only_the_brand_that_it_wants(self, receiver: Receiver) -> None:
        endpoint(receiver.url, host="alder.example.com")
        for host in ("alder.example.com", "birch.example.com"):
            of = account_in(State.HELD, host=host, username=host.partition(".")[0])
            an_event(type=EventType.RECEIVED, account=of, host=host, data={"host": host})
        deliver()
        [received] = receiver.received
        assert received.event["data"]["host"] == "alder.example.com"

    def test_gets_personal_fields_only_if_staff_chose_so(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        endpoint(f"{receiver.url}?personal", has_personal_fields=True)
        account = sign_up()
        deliver()
        bodies = {received.path: received for received in receiver.received}
        assert bodies["/events"].event["data"]["customer"] is None
        customer = bodies["/events?personal"].event["data"]["customer"]
        assert (customer["email"], customer["first_name"]) == (account.email, account.first_name)
        assert not {"password", "oauth2_token", "idp_provider_id"} & customer.keys()

    def test_gets_the_partners_own_id_and_where_the_sign_up_came_from(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        account = services.submit(services.prepare(SIGN_UP, uuid.uuid4(), partner_account_id="crm-7"))
        Account.objects.filter(pk=account.pk).update(attribution={"utm_source": "canary-letter"})
        deliver()
        data = receiver.received[0].event["data"]
        assert (data["partner_account_id"], data["attribution"]) == ("crm-7", {"utm_source": "canary-letter"})
        for value in ("crm-7", "canary-letter"):
            assert value not in str(Event.objects.values())

    def test_gets_no_campaign_that_names_the_customer_unless_staff_chose_so(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        endpoint(f"{receiver.url}?personal", has_personal_fields=True)
        named = SIGN_UP | {"first_name": "May", "last_name": "Li"}
        account = services.submit(services.prepare(named, uuid.uuid4(), partner_account_id="crm-7"))
        personal = {"utm_content": "anna@nullmailer.com", "utm_term": "may-li-1", "ref": "5555555555"}
        campaign = {"utm_source": "newsletter", "promo": "SPRING", "referrer": "example.com"}
        Account.objects.filter(pk=account.pk).update(attribution=personal | campaign)
        deliver()
        data = {received.path: received.event["data"] for received in receiver.received}
        assert data["/events"]["attribution"] == campaign
        assert data["/events?personal"]["attribution"] == personal | campaign
        assert {each["partner_account_id"] for each in data.values()} == {"crm-7"}

    def test_gets_no_personal_fields_of_an_erased_account(self, receiver: Receiver) -> None:
        endpoint(receiver.url, has_personal_fields=True)
        account = account_in(State.HELD)
        services.decline(account, "duplicate")
        account.refresh_from_db()
        services.erase(account)
        deliver()
        assert receiver.types == ["signup.closed"]
        assert receiver.received[0].event["data"]["customer"] is None

    def test_that_answers_any_2xx_has_it(self, receiver: Receiver) -> None:
        receiver.answer = lambda received: Answer(299, b"Thanks")
        endpoint(receiver.url)
        an_event()
        deliver()
        attempt = DeliveryAttempt.objects.get()
        assert (attempt.status, attempt.answer, attempt.problem) == (299, "Thanks", "")
        assert attempt.ended_at is not None
        assert Delivery.objects.get().state == Delivery.State.DELIVERED


class TestAnEndpoint:
    def test_signs_with_both_secrets_for_a_day_after_a_rotation(self, receiver: Receiver) -> None:
        told = endpoint(receiver.url)
        endpoints.rotate(told)
        an_event()
        deliver()
        new = Endpoint.objects.get().secret.open()
        assert receiver.received[0].verify(SECRET) == receiver.received[0].verify(new)
        pass_time(DAY)
        an_event()
        deliver()
        assert receiver.received[1].verify(new)
        with pytest.raises(WebhookVerificationError):
            receiver.received[1].verify(SECRET)

    def test_signs_with_the_last_two_secrets_of_two_colleagues_who_rotate_at_once(self, receiver: Receiver) -> None:
        told = endpoint(receiver.url)
        endpoints.rotate(told)
        first = Endpoint.objects.get().secret.open()
        endpoints.rotate(told)  # As read before the first rotation.
        an_event()
        deliver()
        assert receiver.received[0].verify(first)

    def test_gets_a_test_event_once(self, receiver: Receiver) -> None:
        receiver.answer = fails()
        told = endpoint(receiver.url, events=[])
        endpoints.send_test(told)
        for _ in range(2):
            deliver()
            pass_time(HOUR)
        assert receiver.types == ["endpoint.test"]
        assert Delivery.objects.get().state == Delivery.State.FAILED

    def test_whose_secret_is_lost_is_not_called(self, receiver: Receiver, settings: Any) -> None:
        endpoint(receiver.url)
        an_event()
        settings.SEALING_KEYS = ["x" * 43 + "="]
        deliver()
        assert receiver.received == []
        assert "SEALING_KEYS" in DeliveryAttempt.objects.get().problem


class TestTheRecord:
    def test_keeps_the_beginning_of_an_answer_without_secrets_and_personal_data(self, receiver: Receiver) -> None:
        signatures: list[str] = []

        def repeat(received: Any) -> Answer:
            signatures.append(received.headers["webhook-signature"])
            return Answer(500, received.body + b" " + signatures[0].encode() + b" " + SECRET.encode() + b"\0" * 5000)

        receiver.answer = repeat
        endpoint(receiver.url, has_personal_fields=True)
        account = sign_up()
        deliver()
        answer = DeliveryAttempt.objects.get().answer
        assert len(answer) == 1000
        assert "signup.received" in answer
        for kept in (account.email, account.first_name, account.username, signatures[0], SECRET, SECRET[6:]):
            assert kept not in answer

    @pytest.mark.django_db(transaction=True)
    def test_is_written_before_the_call(self, receiver: Receiver) -> None:
        recorded: list[int] = []

        def look(received: Any) -> Answer:
            recorded.append(DeliveryAttempt.objects.filter(ended_at=None).count())
            connection.close()
            return Answer()

        receiver.answer = look
        endpoint(receiver.url)
        an_event()
        deliver()
        assert recorded == [1]

    def test_erasing_an_account_leaves_none_of_its_data(self, receiver: Receiver) -> None:
        receiver.answer = lambda received: Answer(500, b"Hello ANNA@NULLMAILER.COM")
        endpoint(receiver.url, has_personal_fields=True)
        account = account_in(State.HELD, partner_account_id="crm-7")
        services.decline(account, "duplicate", "note")
        deliver()
        account.refresh_from_db()
        services.erase(account)
        kept = [str(vars(row)) for row in (*Event.objects.all(), *DeliveryAttempt.objects.all())]
        for name in (
            "organization_name",
            "first_name",
            "last_name",
            "email",
            "phone",
            "username",
            "partner_account_id",
        ):
            assert getattr(account, name).lower() not in " ".join(kept).lower()

    def test_is_purged_after_a_month(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        an_event()
        deliver()
        upkeep.purge()
        assert Event.objects.count() == 1
        pass_time(timedelta(days=31))
        cache.clear()
        upkeep.purge()
        assert not Event.objects.exists()
        assert not DeliveryAttempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_workers_deliver_each_event_once(receiver: Receiver) -> None:
    endpoint(receiver.url)
    for _ in range(50):
        an_event()
    threads = [threading.Thread(target=deliver_and_disconnect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.ids) == len(set(receiver.ids)) == 50


@pytest.mark.django_db(transaction=True)
def test_an_endpoint_that_hangs_holds_up_no_other(receiver: Receiver) -> None:
    """The hanging one answers only once the others have got everything."""
    over = threading.Event()
    with Receiver(lambda received: Answer(204 if over.wait(60) else 500)) as hanging:
        endpoint(hanging.url)
        endpoint(receiver.url)
        for _ in range(60):
            an_event()
        thread = threading.Thread(target=deliver_and_disconnect)
        thread.start()
        while len(set(receiver.ids)) < 60:
            assert not over.wait(0.05)
            assert thread.is_alive()
        assert len(hanging.received) <= 4
        over.set()
        thread.join()
        assert len(set(hanging.ids)) == 60
