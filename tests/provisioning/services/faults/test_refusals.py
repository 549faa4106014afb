"""A refusal goes to whoever can correct it: the customer, staff, or the partner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from provisioning import gateway, services
from provisioning.models import Account
from provisioning.sandbox import FAULTS, Server
from provisioning.sandbox.faults import Fault
from provisioning.sandbox.messages import Answer
from provisioning.services import workers
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.services.faults.conftest import Advance
from tests.provisioning.services.faults.outcomes import is_created, is_told_by, take
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, again, pass_time, sign_up, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("calibrated")]


def refuse_next(sandbox: Server, monkeypatch: pytest.MonkeyPatch, *problems: Mapping[str, str]) -> None:
    refusal = Fault(
        description="refuses", is_carried_out=False, respond=lambda errors, truth: Answer.of(400, list(problems))
    )
    monkeypatch.setitem(FAULTS, "refusal", refusal)
    sandbox.provider.fail_next("create", "refusal")


def problem(key: str, message: str) -> dict[str, str]:
    return {"error_key": key, "error_message": message}


PHONE = problem("json.value.invalid", "#/phone: Use at least 5 digits.")


def test_a_refused_value_is_for_the_customer_to_correct(sandbox: Server) -> None:
    account = sign_up()
    Account.objects.update(phone="1")
    work()

    assert again(account).state == State.REJECTED
    assert services.refused(account) == {"phone": "Use at least 5 digits."}
    assert again(account).password.open() == SIGN_UP["password"]

    services.correct(again(account), {"phone": "555-555-5555"})
    work()
    is_created(account, "POST POST", sandbox)


def test_every_refused_value_is_reported(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    account = sign_up()
    refuse_next(sandbox, monkeypatch, PHONE, problem("json.email.invalid", "#/email: Not valid."))
    work()

    assert services.refused(account) == {"phone": "Use at least 5 digits.", "email": "Not valid."}


@pytest.mark.parametrize("problems", [[], [problem("json.value.invalid", "")], [problem("no.idea", "No.")]], ids=str)
def test_a_refusal_without_a_reason_waits_for_staff(
    problems: list[dict[str, str]], sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_up()
    refuse_next(sandbox, monkeypatch, *problems)
    work()

    assert (again(account).state, services.refused(account)) == (State.REJECTED, {})
    services.retry(again(account))
    work()
    is_created(account, "POST POST", sandbox)


@pytest.mark.parametrize(
    "problems",
    [
        [problem("json.field.invalid", "#/partner_account_id: There is no such property.")],
        [problem("json.field.invalid", "#/xyz: There is no such property.")],
        [problem("json.value.invalid", "#/billing_locale: Not offered."), PHONE],
    ],
    ids=["the partner's", "nobody's", "the partner's and the customer's"],
)
def test_a_refusal_of_partner_properties_stops_the_gateway(
    problems: list[dict[str, str]], sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_up()
    refuse_next(sandbox, monkeypatch, *problems)
    work()

    assert again(account).state == State.QUEUED
    assert problems[0]["error_message"] in gateway.state().stop_reason
    gateway.resume()
    work()
    is_created(account, "POST POST", sandbox)


def test_why_the_gateway_stopped_repeats_nothing_of_the_customer(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staff's chat and the partner's systems are told of it, and erasing the account doesn't reach it."""
    account = sign_up()
    quoted = " ".join((account.email, account.first_name, account.phone, account.organization_name))
    refuse_next(sandbox, monkeypatch, problem("json.value.invalid", f"#/billing_locale: Not offered to {quoted}."))
    work()

    reason = gateway.state().stop_reason
    assert "#/billing_locale: Not offered to" in reason
    for name in ("email", "first_name", "phone", "organization_name"):
        assert getattr(account, name) not in reason
    assert account.email in account.attempts.get().error_message


@BOTH
@pytest.mark.parametrize("country", ["DE", "GB", "PR"])
def test_a_customer_outside_us_and_canada_gets_an_account(country: str, sandbox: Server) -> None:
    account = sign_up(country_code=country, state_code="")
    work()
    is_created(account, "POST", sandbox)


def test_a_username_in_use_is_for_the_customer_to_change(sandbox: Server) -> None:
    account = sign_up()
    take(SIGN_UP["username"], sandbox)
    work()

    assert again(account).state == State.REJECTED
    assert services.refused(account).keys() == {"username"}
    is_told_by("POST", account, sandbox)

    services.correct(again(account), {"username": "anna-2"})
    work()
    assert again(account).account_id == sandbox.provider.accounts["anna-2"].id


def test_a_username_in_use_after_an_unanswered_call_is_for_staff(
    sandbox: Server,
) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", "reset-before")
    work(jobs=2)
    sandbox.provider.calls.clear()
    take(SIGN_UP["username"], sandbox)

    pass_time(timedelta(hours=1))  # What counts is how long ago the 409 was, not the first call.
    for _ in range(3):
        work(jobs=1)
        assert again(account).state == State.UNCONFIRMED
        assert again(account).due_at
    pass_time(timedelta(hours=1))
    work()

    assert [call.method for call in sandbox.provider.calls] == ["POST", "GET", "GET", "GET"]
    assert (again(account).state, again(account).due_at) == (State.UNCONFIRMED, None)
    services.reject_username(again(account))
    assert again(account).state == State.REJECTED
    assert services.refused(account).keys() == {"username"}


def die_after_the_call() -> None:
    """A worker creates an account and dies before it can store the answer; then its lease ends."""
    claim = services.claim_account()
    assert claim
    workers.client().create(claim.properties)
    pass_time(timedelta(hours=1))


def test_an_account_listed_late_is_found_after_a_409_for_its_own_name(
    sandbox: Server, advance_sandbox: Advance
) -> None:
    account = sign_up()
    sandbox.provider.delay = 1000
    sandbox.provider.fail_next("create", "unlisted")
    die_after_the_call()

    work(jobs=2)
    assert again(account).state == State.UNCONFIRMED
    advance_sandbox(timedelta(seconds=1000))
    work()

    account = again(account)
    assert (account.state, account.account_id) == (State.CREATED, sandbox.provider.accounts[account.username].id)
    assert [call.method for call in sandbox.provider.calls] == ["POST", "GET", "POST", "GET"]
