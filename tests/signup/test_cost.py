"""The cost of a page and a sign-up in queries, transactions, and function calls, which don't depend on the machine."""

import cProfile
import pstats
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from provisioning.events import outbox
from signup import form_guard, visits
from tests.signup.accounts import TYPED, hidden

FORM = "/"


@pytest.fixture(params=[True, False], ids=["protected", "unprotected"])
def protection(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = request.param


def typed() -> dict[str, str]:
    """Return the form of another customer, sent long enough after it was shown."""
    name = f"anna-{uuid.uuid4().hex}"
    shown = hidden(Client().get(FORM))
    return TYPED | shown | {"username": name, "email": f"{name}@example.com"}


def sign_up() -> None:
    assert Client().post(FORM, typed()).status_code == 302


def calls(request: Callable[[Client, dict[str, str]], Any]) -> int:
    """Return how many functions a request calls once all caches are filled."""
    profile = cProfile.Profile()
    for _ in range(2):
        client, form = Client(), typed()
        profile = cProfile.Profile()
        profile.enable()
        request(client, form)
        profile.disable()
    return pstats.Stats(profile).total_calls  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(autouse=True)
def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_guard, "MINIMUM_SECONDS", 0)


@pytest.fixture(autouse=True)
def few_visits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what every sign-up asks for longer than a test takes, so that only the first one reads it."""
    monkeypatch.setattr(visits, "CACHE_SECONDS", 60)
    monkeypatch.setattr(outbox, "FRESH", 60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("protection")
def test_a_sign_up_is_one_transaction() -> None:
    sign_up()
    form = typed()

    with CaptureQueriesContext(connection) as queries:
        assert Client().post(FORM, form).status_code == 302

    said = [query["sql"].partition(" ")[0] for query in queries]
    assert (said[0], said[-1]) == ("BEGIN", "COMMIT")
    assert said.count("COMMIT") == 1
    assert sorted(said[1:-1]) == sorted(statements())


def statements() -> list[str]:
    """Return the statements of a sign-up besides the transaction's own. That of the account looks up the username."""
    kept = ["INSERT"]
    if not settings.ABUSE_PROTECTION:
        return kept
    limits = ["SELECT", "INSERT"]  # To check the rate limits, and to count the call.
    return [*limits, *kept]


@pytest.mark.django_db(transaction=True)
def test_a_status_request_takes_one_query() -> None:
    client = Client()
    address = client.post(FORM, typed()).headers["Location"] + "status/"

    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200

    assert [query["sql"].partition(" ")[0] for query in queries] == ["SELECT"]


@pytest.mark.django_db
@pytest.mark.usefixtures("protection")
@pytest.mark.parametrize(
    ("most", "request_"),
    [
        (4_000, lambda client, _: client.get(FORM)),
        (4_000, lambda client, _: client.get(FORM, headers={"Accept-Encoding": "gzip"})),
        (9_900, lambda client, form: client.post(FORM, form)),  # On SQLite 500 fewer: its driver is not in Python.
        (22_000, lambda client, form: client.post(FORM, form | {"email": "anna@"})),
    ],
    ids=["form", "form, compressed", "sign-up", "problem"],
)
def test_a_request_calls_a_limited_number_of_functions(
    request_: Callable[[Client, dict[str, str]], Any], most: int
) -> None:
    assert calls(request_) <= most
