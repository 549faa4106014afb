"""Sign-ups are limited by network, mailbox and username."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from provisioning.signals import chores
from signup import abuse
from signup.abuse import HELD_ABOVE, LIMITS
from signup.form_guard import MINIMUM_SECONDS
from signup.models import Visit
from tests.signup.abuse.conftest import SOURCES, here, opened, used_up
from tests.signup.accounts import TYPED, account

pytestmark = pytest.mark.django_db

Clock = Callable[[float], None]
FORM = "/"


def test_all_addresses_of_one_mailbox_count_together(send: Callable[..., Any]) -> None:
    spellings = ["victim@gmail.com", "v.ictim@gmail.com", "victim+1@gmail.com", "Victim+x@googlemail.com"]
    for number in range(LIMITS["email"].an_hour):
        other = {"organization_name": f"Bakery {number}", "phone": f"555-555-{number}555", "second": "yes"}
        assert send(f"203.0.113.{number}", email=spellings[number % 4], **other).status_code == 302

    assert send("203.0.113.99", email="v.i.c.t.i.m+7@gmail.com", second="yes").status_code == 429


@pytest.mark.parametrize(("limit", "source"), SOURCES)
@pytest.mark.parametrize(
    ("period", "ago", "when"),
    [("an_hour", timedelta(), "in an hour"), ("a_day", timedelta(hours=2), "tomorrow")],
)
def test_a_source_over_its_limit_is_refused_and_told_when_to_come_back(
    send: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    limit: str,
    source: str,
    period: str,
    ago: timedelta,
    when: str,
) -> None:
    used_up(limit, source, getattr(LIMITS[limit], period), ago)

    refused = send(organization_name="Anna's Own Bakery")

    page = refused.content.decode()
    assert refused.status_code == 429
    assert "sign-up stopped by=limit" in caplog.messages
    assert str(LIMITS[limit].reason) in page.replace("&#x27;", "'")
    assert f"Please try again {when}." in page
    assert "Anna&#x27;s Own Bakery" in page
    assert not Account.objects.exists()


@pytest.mark.parametrize(("limit", "source"), SOURCES)
@pytest.mark.parametrize(
    ("period", "less", "ago"),
    [
        ("an_hour", 1, timedelta()),
        ("an_hour", 0, timedelta(minutes=61)),
        ("a_day", 1, timedelta(minutes=61)),
        ("a_day", 0, timedelta(hours=25)),
    ],
)
def test_a_source_within_its_limit_passes(
    send: Callable[..., Any], limit: str, source: str, period: str, less: int, ago: timedelta
) -> None:
    used_up(limit, source, getattr(LIMITS[limit], period) - less, ago)

    assert send().status_code == 302


def test_other_sources_pass_while_one_is_over_its_limit(send: Callable[..., Any]) -> None:
    used_up("network", "203.0.113.7", LIMITS["network"].an_hour)
    used_up("email", here("bob@nullmailer.com"), LIMITS["email"].an_hour)

    assert send(address="203.0.113.8").status_code == 302


def test_a_refused_try_does_not_count(send: Callable[..., Any]) -> None:
    used_up("email", here(TYPED["email"]), LIMITS["email"].an_hour)
    counted = Visit.objects.count()

    send()

    assert Visit.objects.count() == counted


def test_email_addresses_are_compared_without_case(send: Callable[..., Any]) -> None:
    used_up("email", here(TYPED["email"]), LIMITS["email"].an_hour)

    assert send(email=TYPED["email"].upper()).status_code == 429


def test_a_form_counts_once_however_often_it_is_sent_with_problems(client: Client, wait: Clock) -> None:
    account("queued", username="taken")
    form = opened(client)
    wait(MINIMUM_SECONDS)

    for _ in range(LIMITS["email"].a_day + 1):
        client.post(FORM, form | {"username": "taken"})

    assert client.post(FORM, form).status_code == 302


def test_a_form_counts_once_for_each_network_that_it_comes_from(client: Client, wait: Clock) -> None:
    form = opened(client) | {"username": account("queued", username="taken").username}
    wait(MINIMUM_SECONDS)

    counted = []
    for address in ("203.0.113.7", "203.0.113.7", "198.51.100.7"):
        client.post(FORM, form, REMOTE_ADDR=address)
        counted.append(Visit.objects.count())

    assert counted == [counted[0], counted[0], counted[0] + len(("network", "networks", "email"))]


def test_a_form_that_already_is_an_account_is_never_refused(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    first = client.post(FORM, form)
    used_up("email", here(TYPED["email"], "127.0.0.0/24"), LIMITS["email"].a_day)

    again = client.post(FORM, form | {"shown": "", "comment": "x"})

    assert again.headers["Location"] == first.headers["Location"]


def test_stored_counts_identify_nobody(send: Callable[..., Any]) -> None:
    send()

    kept = str(list(Visit.objects.values_list("key", flat=True)))
    assert Visit.objects.exists()
    assert TYPED["email"] not in kept
    assert "203.0.113" not in kept


def test_counts_older_than_a_day_are_deleted(send: Callable[..., Any]) -> None:
    used_up("network", "203.0.113.9", 3, timedelta(hours=25))
    send()
    counted = Visit.objects.count()

    chores.send_robust(None)
    chores.send_robust(None)

    assert Visit.objects.count() == counted - 3


def test_each_username_that_one_form_asks_for_counts(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    names = [account("queued", username=f"taken-{number}").username for number in range(LIMITS["email"].an_hour + 1)]
    asked = [client.post(FORM, form | {"username": name}) for name in names]

    assert {answer.status_code for answer in asked[:-1]} == {200}
    assert asked[-1].status_code == 429


def test_each_mailbox_that_one_form_is_sent_with_counts(client: Client, wait: Clock) -> None:
    form = opened(client) | {"username": account("queued", username="taken").username}
    wait(MINIMUM_SECONDS)
    used_up("network", "127.0.0.1", LIMITS["network"].an_hour - 2)

    mailboxes = ["anna@nullmailer.com", "anna+1@nullmailer.com", "ben@nullmailer.com", "eva@nullmailer.com"]
    answers = [client.post(FORM, form | {"email": mailbox}).status_code for mailbox in mailboxes]

    assert answers == [200, 200, 200, 429]


@pytest.mark.parametrize("forwarded", ["", "unknown", "nonsense:1:2"])
def test_visitors_with_unknown_addresses_share_one_limit(
    client: Client, wait: Clock, settings: Settings, forwarded: str
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    used_up("network", "10.0.0.1", LIMITS["network"].an_hour)
    form = opened(client)
    wait(MINIMUM_SECONDS)

    refused = client.post(FORM, form, headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="10.0.0.1")

    assert refused.status_code == 429


def test_a_stranger_does_not_use_up_the_sign_ups_of_a_mailbox(send: Callable[..., Any]) -> None:
    for number in range(LIMITS["email"].an_hour):
        other = {"organization_name": f"Bakery {number}", "phone": f"555-555-{number}555", "second": "yes"}
        assert send(f"203.0.113.{number}", email="owner@nullmailer.com", **other).status_code == 302
    assert send("203.0.113.99", email="owner@nullmailer.com", second="yes").status_code == 429

    assert send("198.51.100.7", email="owner@nullmailer.com", second="yes").status_code == 302

    assert Account.objects.latest("pk").state == "queued"


@pytest.mark.parametrize(("times", "ago"), [(HELD_ABOVE[0], timedelta()), (HELD_ABOVE[1], timedelta(hours=2))])
def test_sign_ups_are_held_once_many_networks_have_used_a_mailbox(
    send: Callable[..., Any], times: int, ago: timedelta
) -> None:
    used_up("mailbox", "owner@nullmailer.com", times - 1, ago)

    for _ in range(2):
        assert send(email="owner@nullmailer.com", second="yes").status_code == 302

    assert list(Account.objects.order_by("pk").values_list("state", flat=True)) == ["queued", "held"]


def test_the_networks_of_one_area_are_limited_together(send: Callable[..., Any], settings: Settings) -> None:
    used_up("networks", "2001:db8:1::/48", LIMITS["networks"].an_hour)

    assert send("2001:db8:1:2::1").status_code == 429
    assert send("2001:db8:2:2::1").status_code == 302


def test_nothing_more_is_held_once_very_many_wait_for_staff(
    send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abuse, "MAX_HELD", 2)
    monkeypatch.setattr(abuse, "HELD_CACHE_SECONDS", 0)
    cache.delete("abuse.held")
    used_up("mailbox", "owner@nullmailer.com", HELD_ABOVE[0])

    answers = [send(email="owner@nullmailer.com", second="yes") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert "Please try again in an hour." in answers[-1].content.decode()
    assert Account.objects.count() == 2
    assert send(second="yes").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_never_exceed_the_limit() -> None:
    used_up("email", "anna@example.com", LIMITS["email"].an_hour - 1)

    def one(_: int) -> bool:
        try:
            with transaction.atomic():
                abuse._record(abuse.Call(uuid.uuid4(), {"email": abuse.key("email", "anna@example.com")}, {}))
        except ValidationError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(24))) <= 1
