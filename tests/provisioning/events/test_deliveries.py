"""Deliveries: signed, retried, recorded, and over real HTTP."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models.functions import Now
from standardwebhooks.webhooks import WebhookVerificationError

from provisioning import services
from provisioning.events import deliveries, endpoints, upkeep
from provisioning.events.calls import Result
from provisioning.events.deliveries import OFF_AFTER, back_off
from provisioning.events.models import EventType
from provisioning.models import Account, Delivery, DeliveryAttempt, Endpoint, Event
from provisioning.sealed import Sealed
from tests.provisioning.events.queue import SECRET, an_event, deliver, deliver_and_disconnect, endpoint, pass_time
from tests.provisioning.events.receiver import Answer, Receiver
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, sign_up

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fails(status: int = 500, **headers: str) -> Callable[[Any], Answer]:
    return lambda received: Answer(status, headers={name.replace("_", "-"): text for name, text in headers.items()})


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

    @pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
    def test_that_answers_anything_else_gets_it_again_with_the_same_id(self, receiver: Receiver, status: int) -> None:
        receiver.answer = fails(status, Location=receiver.url)
        endpoint(receiver.url)
        an_event()
        deliver()
        deliver()
        assert len(receiver.received) == 1
        receiver.answer = fails(204)
        pass_time(timedelta(minutes=1))
        deliver()
        assert len(receiver.received) == 2
        assert len(set(receiver.ids)) == 1
        assert [attempt.status for attempt in DeliveryAttempt.objects.all()] == [status, 204]

    def test_can_ask_to_be_left_alone_for_a_time(self, receiver: Receiver) -> None:
        receiver.answer = fails(429, Retry_After="3600")
        endpoint(receiver.url)
        an_event()
        deliver()
        an_event()
        pass_time(timedelta(minutes=59))
        deliver()
        assert len(receiver.received) == 1
        receiver.answer = fails(204)
        pass_time(timedelta(minutes=1))
        deliver()
        assert len(receiver.received) == 3

    def test_that_was_down_for_long_gets_everything_at_once_when_it_is_back(self, receiver: Receiver) -> None:
        receiver.answer = fails()
        endpoint(receiver.url)
        for _ in range(5):
            an_event()
        for _ in range(5):
            deliver()
            pass_time(HOUR)
        tried = len(receiver.received)
        Delivery.objects.update(due_at=Now() + HOUR)
        receiver.answer = fails(204)
        an_event()
        deliver()
        assert len(receiver.received) == tried + 6


class TestRetries:
    def test_come_after_longer_and_longer_times(self) -> None:
        waits = [back_off(tries) for tries in range(1, 30)]
        assert timedelta(seconds=4) <= waits[0] <= timedelta(seconds=6)
        assert all(wait <= 8 * HOUR * 1.2 for wait in waits)
        assert waits[8] > 5 * HOUR
        assert len({back_off(5) for _ in range(10)}) > 1
        assert sum(waits[:20], timedelta()) > 3 * DAY

    def test_end_after_three_days(self, receiver: Receiver) -> None:
        receiver.answer = fails()
        endpoint(receiver.url)
        an_event()
        for _ in range(9):
            deliver()
            assert Delivery.objects.get().state == Delivery.State.WAITING
            pass_time(8 * HOUR)
        deliver()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.due_at) == (Delivery.State.FAILED, None)
        assert 5 <= len(receiver.received) <= 10
        assert Endpoint.objects.get().is_on

    def test_can_be_asked_for_by_staff(self, receiver: Receiver) -> None:
        receiver.answer = fails(410)
        told = endpoint(receiver.url)
        an_event()
        deliver()
        endpoints.switch_on(told)
        told.refresh_from_db()
        endpoints.rotate(told)
        Endpoint.objects.update(previous_secret=Sealed.of(""))
        receiver.answer = fails(204)

        assert endpoints.replay(Delivery.objects.get())
        deliver()

        assert len(set(receiver.ids)) == 1
        assert receiver.received[1].verify(Endpoint.objects.get().secret.open())
        with pytest.raises(WebhookVerificationError):
            receiver.received[1].verify(SECRET)

    def test_cannot_be_asked_for_while_it_waits(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        an_event()
        deliveries.route()
        assert not endpoints.replay(Delivery.objects.get())


class TestAnEndpoint:
    def test_that_is_gone_is_switched_off(self, receiver: Receiver) -> None:
        receiver.answer = fails(410)
        endpoint(receiver.url)
        an_event()
        deliver()
        told = Endpoint.objects.get()
        assert (told.is_on, told.off_reason) == (False, "It answered 410: it is gone.")
        an_event()
        pass_time(DAY)
        deliver()
        assert len(receiver.received) == 1

    def test_that_fails_for_five_days_is_switched_off(self, receiver: Receiver) -> None:
        receiver.answer = fails()
        endpoint(receiver.url)
        for days in range(6):
            assert Endpoint.objects.get().is_on, days
            an_event()
            deliver()
            pass_time(OFF_AFTER / 5)
        assert "5 days" in Endpoint.objects.get().off_reason
        assert not Delivery.objects.filter(state=Delivery.State.WAITING).exists()

    def test_that_works_now_and_then_stays_on(self, receiver: Receiver) -> None:
        endpoint(receiver.url)
        for number in range(6):
            receiver.answer = fails(204 if number % 2 else 500)
            an_event()
            deliver()
            pass_time(4 * DAY)
        assert Endpoint.objects.get().is_on

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


class TestWhenAWorkerDies:
    def test_another_one_takes_over_after_the_lease(self, receiver: Receiver) -> None:
        told = endpoint(receiver.url)
        an_event()
        deliveries.route()
        assert len(deliveries.claim(told, 4)) == 1
        deliver()
        assert receiver.received == []
        pass_time(deliveries.LEASE)
        deliver()
        assert len(receiver.received) == 1
        assert [attempt.ended_at is None for attempt in DeliveryAttempt.objects.all()] == [True, False]

    def test_a_late_failure_changes_nothing(self, receiver: Receiver) -> None:
        told = endpoint(receiver.url)
        an_event()
        deliveries.route()
        late = deliveries.claim(told, 1)
        pass_time(deliveries.LEASE)
        deliver()
        deliveries.settle([(each, Result(timedelta(), 500)) for each in late])
        assert Delivery.objects.get().state == Delivery.State.DELIVERED

    def test_a_late_success_counts(self) -> None:
        told = endpoint("https://crm.example.com/")
        an_event()
        deliveries.route()
        late = deliveries.claim(told, 1)
        pass_time(deliveries.LEASE)
        deliveries.claim(told, 1)
        deliveries.settle([(each, Result(timedelta(), 200)) for each in late])
        assert Delivery.objects.get().state == Delivery.State.DELIVERED


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
