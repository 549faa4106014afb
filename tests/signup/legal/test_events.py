"""Events tell the partner's own systems what the customer has accepted."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning import services
from provisioning.events import deliveries, payload
from provisioning.events.models import EventType
from provisioning.models import Account
from signup import legal
from signup.models import Brand
from tests.provisioning.events.queue import an_event, deliver, endpoint
from tests.provisioning.events.receiver import Receiver
from tests.signup.accounts import account
from tests.signup.legal.texts import published

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def this_machine_is_opted_in(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def anna() -> Account:
    """A customer who has accepted terms in French, and marketing."""
    brand = Brand.objects.create(name="Alder")
    made = account("held")
    texts = [published(brand, "terms", "3.1", "fr"), published(brand, "marketing")]
    legal.record(made, texts)
    return made


def told_of(of: Account) -> Any:
    """Return the agreements in an event about the account, as a receiver gets them."""
    an_event(type=EventType.HELD, account=of)
    with Receiver() as receiver:
        endpoint(receiver.url)
        deliver()
    return receiver.received[-1].event["data"]["agreements"]


def test_they_name_each_text_its_version_and_language_and_when(anna: Account) -> None:
    terms, marketing = told_of(anna)
    accepted = anna.agreements.get(text__kind="terms")
    assert terms.pop("at") == accepted.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert terms == {"id": accepted.text_id, "kind": "terms", "version": "3.1", "language": "fr"}
    assert (marketing["kind"], marketing["language"]) == ("marketing", "")


def test_they_have_an_empty_list_if_nothing_was_accepted() -> None:
    assert told_of(account("held")) == []


def test_they_do_not_repeat_what_the_customer_has_taken_back(anna: Account) -> None:
    anna.agreements.filter(text__kind="marketing").delete()
    assert [each["kind"] for each in told_of(anna)] == ["terms"]


def test_erasing_keeps_version_and_time_without_the_person(anna: Account) -> None:
    personal = (anna.email, anna.organization_name, anna.username)
    services.erase(anna)
    anna.refresh_from_db()
    told, event = (
        endpoint("https://crm.example.com/", has_personal_fields=True),
        an_event(type=EventType.CLOSED, account=anna),
    )
    body = payload.body(event, told, payload.further_fields([event]))
    assert '"version": "3.1"' in body
    assert not any(value in body for value in personal)


def test_an_event_that_is_no_sign_ups_has_none() -> None:
    event = an_event(type=EventType.STOPPED)
    assert "agreements" not in payload.body(
        event, endpoint("https://crm.example.com/"), payload.further_fields([event])
    )


def test_many_cost_no_more_queries_than_one() -> None:
    told = endpoint("https://crm.example.com/")
    brand = Brand.objects.create(name="Alder")
    terms, marketing = published(brand, "terms"), published(brand, "marketing")

    def queries(number: int) -> int:
        for each in range(number):
            made = account("held", username=f"anna-{number}-{each}")
            legal.record(made, [terms, marketing])
            an_event(type=EventType.HELD, account=made)
        deliveries.route()
        with CaptureQueriesContext(connection) as context:
            assert len(deliveries.claim(told, number)) == number
        return len(context)

    assert queries(1) == queries(4)
