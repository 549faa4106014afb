"""Deliveries that fail are tried again, and those of a worker that died."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from standardwebhooks.webhooks import WebhookVerificationError

from provisioning.events import deliveries, endpoints
from provisioning.events.calls import Result
from provisioning.events.deliveries import back_off
from provisioning.models import Delivery, DeliveryAttempt, Endpoint
from provisioning.sealed import Sealed
from tests.provisioning.events.queue import SECRET, an_event, deliver, endpoint, pass_time
from tests.provisioning.events.receiver import Receiver, fails

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class TestAReceiver:
    @pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
    def test_that_answers_no_2xx_gets_it_again_with_the_same_id(self, receiver: Receiver, status: int) -> None:
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
