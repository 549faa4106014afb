"""The product's promises, over HTTP, against a provider that deviates from its documentation.

These tests use none of the implementation's details.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import v2, v3
from provisioning.models import Account, Gateway
from provisioning.sandbox import Server
from provisioning.sandbox.messages import Request
from provisioning.sandbox.provider import Reply
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.work import State, again, pass_time, sign_up

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
V3 = pytest.mark.parametrize("api", ["v3"], indirect=True)


@pytest.fixture(autouse=True)
def first_customer(sandbox: Server, settings: Settings) -> None:
    """Create an account with a clear answer, and read the list afterwards."""
    settings.CONSTANT_CONTACT_LIST_HOURS = 24.0
    settings.CONSTANT_CONTACT_TIMEOUT = 5.0
    settings.PROVISION_RECHECK = 60.0
    sign_up(username="first-customer", organization_name="First")
    work_on()


def work_on(rounds: int = 1) -> None:
    """Do everything that is due, and again an hour later."""
    for _ in range(rounds):
        call_command("provision", "--once", "--threads=1")
        pass_time(timedelta(hours=1))


def sign_up_and_lose_the_answer(sandbox: Server, fault: str) -> Account:
    sandbox.provider.fail_next("create", fault)
    return sign_up(username="anna-jones", organization_name="Anna's Bakery")


@BOTH
def test_nobody_gets_an_account_that_was_somebody_elses(sandbox: Server, api: str) -> None:
    elder = sandbox.provider.add_account("anna-jones", "Another Bakery")
    account = sign_up_and_lose_the_answer(sandbox, "reset-before")
    work_on(rounds=4)
    assert again(account).account_id != elder.id


@BOTH
def test_a_late_list_does_not_report_a_customers_own_username_as_taken(sandbox: Server, api: str) -> None:
    """With another username, they would get a second account."""
    sandbox.provider.list_lag = 24 * 60 * 60.0
    account = sign_up_and_lose_the_answer(sandbox, "reset-after")
    work_on(rounds=4)
    assert again(account).state == State.UNCONFIRMED
    with pytest.raises(Exception, match="only for accounts that are rejected"):
        services.correct(again(account), {"username": "anna-jones-2"})


@V3
def test_an_account_is_found_where_the_list_shows_its_owners_name(sandbox: Server, api: str) -> None:
    sandbox.provider.lists_owners = True
    Gateway.objects.update(list_names="")
    account = sign_up_and_lose_the_answer(sandbox, "reset-after")
    work_on(rounds=4)
    assert again(account).account_id == sandbox.provider.accounts["anna-jones"].id


@V3
def test_a_customer_abroad_gets_an_account(sandbox: Server, api: str) -> None:
    account = sign_up(username="anna-jones", country_code="FR", state_code="")
    work_on()
    assert again(account).state == State.CREATED


def test_while_the_list_is_read_a_customer_waits_for_at_most_one_page(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v2, "PAGE_SIZE", 1)
    monkeypatch.setattr(v3, "PAGE_SIZE", 10)
    for number in range(20):
        sandbox.provider.add_account(f"elder-{number}", "Elder")
    reply = sandbox.provider.reply

    def customer_comes(request: Request) -> Reply:
        if [call.method for call in sandbox.provider.calls].count("GET") == 5 and not came:
            came.append(sign_up(username="berta-jones"))
            connection.close()  # That of the sandbox's own thread.
        return reply(request)

    came: list[Account] = []
    sign_up_and_lose_the_answer(sandbox, "reset-before")
    sandbox.provider.calls.clear()
    monkeypatch.setattr(sandbox.provider, "reply", customer_comes)
    work_on(rounds=2)
    calls = [call.username or call.method for call in sandbox.provider.calls]
    assert calls[: calls.index("berta-jones")].count("GET") <= 5 + 2  # The one under way, and one more.


def test_a_provider_that_answers_404_stops_the_gateway_with_the_reason(sandbox: Server) -> None:
    sandbox.provider.down = "404"
    for number in range(3):
        sign_up(username=f"anna-{number}")
    work_on()
    assert "check CONSTANT_CONTACT_URL" in gateway.state().stop_reason


def test_a_provider_that_is_down_pauses_the_gateway_with_a_warning(
    sandbox: Server, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.provider.down = "500"
    for number in range(8):
        sign_up(username=f"anna-{number}")
    call_command("provision", "--once", "--threads=1")
    assert gateway.current_pause()
    warnings: list[Any] = [
        each for each in caplog.records if each.levelno >= logging.WARNING and "status=500" in each.message
    ]
    assert len(warnings) == 5


def test_a_provider_that_cannot_be_reached_pauses_the_gateway_and_uses_up_no_quota(
    sandbox: Server, settings: Settings
) -> None:
    calls = gateway.calls_today()
    settings.CONSTANT_CONTACT_URL = "http://127.0.0.1:9"
    settings.CONSTANT_CONTACT_LIST_HOURS = 0.0
    accounts = [sign_up(username=f"anna-{number}") for number in range(8)]
    for _ in range(3):
        call_command("provision", "--once", "--threads=1")
        pass_time(timedelta(minutes=5))
    assert gateway.calls_today() - calls == 5 + 2  # Five to find out, and a probe after each pause.
    assert "got no answer" in gateway.failing_calls()
    gateway.resume()
    settings.CONSTANT_CONTACT_URL = sandbox.url
    work_on(rounds=2)
    assert {again(account).state for account in accounts} == {State.CREATED}
