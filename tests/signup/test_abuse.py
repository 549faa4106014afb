"""Abuse protection keeps bots out. People who are mistaken for one are told what to do, and lose nothing."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Account
from provisioning.signals import chores
from signup import abuse
from signup.abuse import LIMITS, MINIMUM_SECONDS
from signup.models import Visit
from tests.signup.accounts import CANARY, TYPED, account, hidden

pytestmark = pytest.mark.django_db

Clock = Callable[[float], None]
FORM = "/"
numbers = count()


@pytest.fixture(autouse=True)
def protected(settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True


@pytest.fixture(autouse=True)
def wait(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a function that advances the web server's clock by seconds."""
    now = [1_000_000.0]
    monkeypatch.setattr("signup.abuse.time.time", lambda: now[0])

    def seconds(number: float) -> None:
        now[0] += number

    return seconds


def opened(client: Client, **typed: str) -> dict[str, str]:
    """Return a form that was just opened, filled in with a unique username."""
    return TYPED | {"username": f"anna-{next(numbers)}", "comment": ""} | hidden(client.get(FORM)) | typed


@pytest.fixture
def send(client: Client, wait: Clock) -> Callable[..., Any]:
    """Return a function that opens a form, fills it in at a human pace, and sends it."""

    def fill_in_and_send(address: str = "203.0.113.7", **typed: str) -> Any:
        form = opened(client, **typed)
        wait(MINIMUM_SECONDS)
        return client.post(FORM, form, REMOTE_ADDR=address)

    return fill_in_and_send


def used_up(limit: str, source: str, times: int, ago: timedelta = timedelta()) -> None:
    """Record this many forms from this source."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LIMITS, limit, abuse.Limit(10**6, 10**6, ""))
        for _ in range(times):
            abuse._count(abuse.Call(uuid.uuid4(), {limit: abuse.key(limit, source)}, {}))
    Visit.objects.filter(at__gt=timezone.now() - timedelta(minutes=1)).update(at=timezone.now() - ago)


def test_a_person_passes(send: Callable[..., Any]) -> None:
    assert send().headers["Location"] == f"/signup/{Account.objects.get().reference}/"


@pytest.mark.parametrize(
    ("changes", "seconds", "told", "logged"),
    [
        ({"comment": "Cheap pills"}, MINIMUM_SECONDS, "A field that people", "decoy"),
        ({}, MINIMUM_SECONDS - 0.1, "too quick", "quick"),
        ({"shown": ""}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
        ({"shown": "forged:signature"}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
        ({"shown": "\0é\ud7ff"}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
        ({"submission": str(uuid.uuid4())}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
    ],
)
def test_a_bot_is_stopped_and_a_person_taken_for_one_can_send_again(
    client: Client,
    wait: Clock,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, str],
    seconds: float,
    told: str,
    logged: str,
) -> None:
    form = opened(client) | changes
    wait(seconds)

    refused = client.post(FORM, form)

    page = refused.content.decode()
    assert told in page
    assert "send the form once more" in page
    assert f'value="{form["username"]}"' in page
    assert "Cheap pills" not in page
    assert caplog.messages == [f"sign-up stopped by={logged}"]
    assert CANARY not in page
    assert not Account.objects.exists()

    wait(MINIMUM_SECONDS)
    assert client.post(FORM, form | hidden(refused) | {"comment": ""}).status_code == 302


def test_the_time_counts_from_when_the_form_was_first_shown(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    again = hidden(client.post(FORM, form | {"email": "anna@"}))

    assert client.post(FORM, form | again).status_code == 302


def test_the_decoy_has_a_label_and_is_skipped_by_keyboard_and_autofill(client: Client) -> None:
    page = client.get(FORM).content.decode()

    assert '<label>Leave this empty <input name="comment" autocomplete="off" tabindex="-1"></label>' in page
    assert "style=" not in page


def test_a_form_from_before_a_new_secret_key_is_explained(client: Client, wait: Clock, settings: Settings) -> None:
    form = opened(client)
    wait(3600)
    settings.SECRET_KEY = "another"

    refused = client.post(FORM, form)

    assert "too quick" not in refused.content.decode()
    assert "opened before our last update" in refused.content.decode()
    wait(MINIMUM_SECONDS)
    assert client.post(FORM, form | hidden(refused)).status_code == 302


def test_all_addresses_of_one_mailbox_count_together(send: Callable[..., Any]) -> None:
    spellings = ["victim@gmail.com", "v.ictim@gmail.com", "victim+1@gmail.com", "Victim+x@googlemail.com"]
    for number in range(LIMITS["email"].an_hour):
        other = {"organization_name": f"Bakery {number}", "phone": f"555-555-{number}555", "second": "yes"}
        assert send(f"203.0.113.{number}", email=spellings[number % 4], **other).status_code == 302

    assert send("203.0.113.99", email="v.i.c.t.i.m+7@gmail.com", second="yes").status_code == 429


SOURCES = [("network", "203.0.113.7"), ("email", TYPED["email"])]


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
    used_up("email", "bob@nullmailer.com", LIMITS["email"].an_hour)

    assert send(address="203.0.113.8").status_code == 302


def test_a_refused_try_does_not_count(send: Callable[..., Any]) -> None:
    used_up("email", TYPED["email"], LIMITS["email"].an_hour)
    counted = Visit.objects.count()

    send()

    assert Visit.objects.count() == counted


def test_email_addresses_are_compared_without_case(send: Callable[..., Any]) -> None:
    used_up("email", TYPED["email"], LIMITS["email"].an_hour)

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

    assert counted == [counted[0], counted[0], counted[0] + 1]


def test_a_form_that_already_is_an_account_is_never_refused(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    first = client.post(FORM, form)
    used_up("email", TYPED["email"], LIMITS["email"].a_day)

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

    assert Visit.objects.count() == counted - 2 * 3


def test_each_username_that_one_form_asks_for_counts(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    names = [account("queued", username=f"taken-{number}").username for number in range(LIMITS["email"].an_hour + 1)]
    asked = [client.post(FORM, form | {"username": name}) for name in names]

    assert {answer.status_code for answer in asked[:-1]} == {200}
    assert asked[-1].status_code == 429


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


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_never_exceed_the_limit() -> None:
    used_up("email", "anna@example.com", LIMITS["email"].an_hour - 1)

    def one(_: int) -> bool:
        try:
            with transaction.atomic():
                abuse._count(abuse.Call(uuid.uuid4(), {"email": abuse.key("email", "anna@example.com")}, {}))
        except ValidationError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(24))) <= 1


class TestCorrections:
    SOURCES = [("network", "127.0.0.1"), ("email", "anna@nullmailer.com"), ("correction", None)]

    @pytest.mark.parametrize(("limit", "source"), SOURCES)
    def test_are_limited_because_each_is_another_call(
        self,
        client: Client,
        page_of: Callable[[Account], str],
        caplog: pytest.LogCaptureFixture,
        limit: str,
        source: str | None,
    ) -> None:
        rejected = account("rejected", {"username": "It is taken."}, email="anna@nullmailer.com")
        used_up(limit, source or str(rejected.reference), LIMITS[limit].an_hour)

        refused = client.post(page_of(rejected), {"username": "anna.bakery"})

        assert refused.status_code == 429
        assert f"correction stopped by=limit reference={rejected.reference}" in caplog.messages
        assert "Please try again in an hour." in refused.content.decode()
        assert 'value="anna.bakery"' in refused.content.decode()
        assert Account.objects.get().state == "rejected"

    def test_of_one_sign_up_do_not_count_for_another(self, client: Client, page_of: Callable[[Account], str]) -> None:
        used_up("correction", str(uuid.uuid4()), LIMITS["correction"].an_hour)
        rejected = account("rejected", {"username": "It is taken."})

        assert client.post(page_of(rejected), {"username": "anna.bakery"}).status_code == 302

    def test_each_count_like_a_sign_up(
        self, client: Client, page_of: Callable[[Account], str], send: Callable[..., Any]
    ) -> None:
        for number in range(LIMITS["email"].an_hour):
            rejected = account("rejected", {"username": "It is taken."}, email="anna@nullmailer.com")
            client.post(page_of(rejected), {"username": f"anna.bakery-{number}"}, REMOTE_ADDR=f"203.0.113.{number}")

        client.cookies.clear()
        assert send(email="anna@nullmailer.com").status_code == 429


class TestSwitchedOff:
    @pytest.fixture(autouse=True)
    def unprotected(self, protected: None, settings: Settings) -> None:
        settings.ABUSE_PROTECTION = False

    def test_everyone_passes_and_nothing_is_counted(self, client: Client, page_of: Callable[[Account], str]) -> None:
        assert client.post(FORM, TYPED | {"comment": "x"}).status_code == 302
        rejected = account("rejected", {"username": "It is taken."})
        assert client.post(page_of(rejected), {"username": "anna.bakery"}).status_code == 302
        assert not Visit.objects.exists()

    def test_the_form_has_no_decoy_and_no_time(self, client: Client) -> None:
        page = client.get(FORM).content.decode()

        assert "decoy" not in page
        assert "shown" not in page
