"""Events are written in the transaction of the move that they tell of, and only if an endpoint wants them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from provisioning import gateway, services
from provisioning.events import outbox
from provisioning.events.models import EventType
from provisioning.models import Account, Endpoint, Event, Gateway
from provisioning.sandbox import Server
from provisioning.signals import chores
from tests.provisioning.events.queue import endpoint
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, pass_time, sign_up, work

pytestmark = pytest.mark.django_db

NOWHERE = "https://crm.example.com/events"


def types() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("type", flat=True))


@pytest.fixture
def told(db: None) -> Endpoint:
    return endpoint(NOWHERE)


@pytest.mark.usefixtures("told")
class TestASignUp:
    def test_is_told_when_it_is_received(self) -> None:
        account = sign_up()
        event = Event.objects.get()
        assert (event.type, event.account, event.data["state"]) == ("signup.received", account, "queued")

    def test_is_told_twice_if_it_is_held(self) -> None:
        services.submit(services.prepare(SIGN_UP, uuid.uuid4()), hold=True)
        assert types() == ["signup.received", "signup.held"]

    def test_that_is_sent_twice_is_told_once(self) -> None:
        submission = uuid.uuid4()
        for _ in range(2):
            services.submit(services.prepare(SIGN_UP, submission))
        assert types() == ["signup.received"]

    def test_whose_username_is_taken_is_not_told(self) -> None:
        sign_up()
        with pytest.raises(ValidationError):
            sign_up()
        assert types() == ["signup.received"]

    def test_is_told_when_it_is_created(self, sandbox: Server) -> None:
        account = sign_up()
        work()
        account.refresh_from_db()
        event = Event.objects.get(type=EventType.CREATED)
        assert event.data["account_id"] == account.account_id
        assert event.data["created_at"].endswith("Z")
        assert event.data["previous_state"] == "sending"

    def test_that_is_refused_is_told_with_what_was_refused(self, sandbox: Server) -> None:
        account_in(State.QUEUED, phone="none")
        work()
        event = Event.objects.get(type=EventType.REJECTED)
        assert [each["property"] for each in event.data["refused"]] == ["phone"]
        assert "none" not in str(event.data["refused"])

    def test_that_is_declined_is_told_with_the_reason(self) -> None:
        account = account_in(State.HELD)
        services.decline(account, Account.DeclineReason.DUPLICATE, "You are Anna of the bakery.")
        event = Event.objects.get()
        assert (event.type, event.data["decline_reason"]) == ("signup.closed", "duplicate")
        assert "bakery" not in str(event.data)

    def test_whose_move_is_rolled_back_is_not_told(self) -> None:
        account = account_in(State.QUEUED)
        with transaction.atomic():
            services.close(account)
            transaction.set_rollback(True)
        assert types() == []

    @pytest.mark.parametrize(("state", "due_at"), [(State.QUEUED, None), (State.UNCONFIRMED, None)])
    def test_that_is_stuck_without_staff_is_told_once(self, state: str, due_at: None) -> None:
        account_in(state, due_at=due_at)
        for _ in range(2):
            outbox.record_stuck_accounts()
        assert types() == ["signup.needs_staff"]

    def test_that_is_unconfirmed_for_an_hour_is_told(self) -> None:
        account_in(State.UNCONFIRMED)
        outbox.record_stuck_accounts()
        assert types() == []
        pass_time(timedelta(hours=1))
        outbox.record_stuck_accounts()
        assert types() == ["signup.needs_staff"]


@pytest.mark.usefixtures("told")
class TestTheGateway:
    def test_is_told_when_it_stops_and_when_it_is_resumed(self) -> None:
        gateway.stop("The key is inactive.")
        gateway.stop("Another reason.")
        gateway.resume()
        assert types() == ["gateway.stopped", "gateway.resumed"]
        assert Event.objects.earliest("pk").data == {"reason": "The key is inactive.", "until": None}

    def test_a_stop_that_is_rolled_back_is_not_told(self) -> None:
        with transaction.atomic():
            gateway.stop("The key is inactive.")
            transaction.set_rollback(True)
        assert types() == []
        assert Gateway.objects.get_or_create(pk=1)[0].reported_state == ""

    def test_is_told_when_the_quota_is_used_up_and_on_the_next_day(self, settings: Settings) -> None:
        settings.CONSTANT_CONTACT_DAILY_QUOTA = 1
        gateway.acquire_permit()
        chores.send(None)
        chores.send(None)
        assert types() == ["gateway.paused"]
        Gateway.objects.update(day=gateway.now().date() - timedelta(days=1))
        chores.send(None)
        assert types() == ["gateway.paused", "gateway.resumed"]

    def test_short_pauses_of_the_rate_limit_are_not_told(self) -> None:
        with transaction.atomic():
            gateway.row.pause_until(gateway.now() + gateway.row.OVER_RATE_PAUSE, "over rate")
        assert types() == []

    def test_one_outage_of_several_pauses_is_told_once(self) -> None:
        for _ in range(3):
            with transaction.atomic():
                gateway.breaker._open_breaker()
            pass_time(timedelta(minutes=10))
            chores.send(None)
        assert types() == ["gateway.paused"]
        Gateway.objects.update(outages=0)
        chores.send(None)
        assert types() == ["gateway.paused", "gateway.resumed"]


class TestWithoutAnEndpointThatWantsIt:
    @pytest.mark.parametrize(
        "values", [{"events": [EventType.CREATED, EventType.RESUMED]}, {"is_on": False}], ids=["others", "off"]
    )
    def test_no_event_is_written(self, values: dict[str, Any]) -> None:
        endpoint(NOWHERE, **values)
        sign_up()
        gateway.stop("The key is inactive.")
        assert types() == []

    def test_a_sign_up_takes_no_further_query(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        outbox.subscribed_types()
        prepared = services.prepare(SIGN_UP, uuid.uuid4())
        with django_assert_num_queries(1) as queries:
            services.submit(prepared)
        assert isinstance(queries, CaptureQueriesContext)
        assert not any("provisioning_e" in query["sql"] for query in queries)

    def test_a_new_endpoint_is_known_at_once(self) -> None:
        sign_up()
        endpoint(NOWHERE)
        sign_up(username="bert-jones")
        assert types() == ["signup.received"]
