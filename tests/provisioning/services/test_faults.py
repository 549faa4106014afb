"""Every fault in a call, over real HTTP: the right state, the right calls, and never a retry without a look-up."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import v3
from provisioning.models import Account, Attempt
from provisioning.sandbox import FAULTS, Server
from provisioning.sandbox.faults import Fault
from provisioning.sandbox.messages import Answer
from provisioning.services import workers
from provisioning.services.settlement import MOST_UNANSWERED
from tests.provisioning.constant_contact.deadline import deadline_once
from tests.provisioning.sandbox.partner import BOTH, partner_of, until
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, again, now, pass_time, sign_up, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("calibrated")]
Outcome = Attempt.Outcome

CREATED_UNCLEAR = ("hang-after", "reset-after", "trickle", "500-after", "bad-json", "no-id")
"""The account is created, but no answer says so."""
NOTHING_UNCLEAR = ("hang-before", "reset-before", "500", "502", "596", "html", "418")
"""There is no account, but no answer says so."""
NOTHING_CREATED = ("301", "302", "307", "403-html", "404", "405", "406", "415")
"""No account is created, and the answer says so, but not why."""
PERHAPS_LATER = ("503", "later")
"""An answer after which the account may be created later, but too late to make a difference here."""
SILENT = ("hang-before", "hang-after", "trickle")
STOPPING = ("401", "token-end", "inactive", "inactive-html")


@dataclass(frozen=True)
class Course:
    """The effects of a fault: the state right after it, all calls until the account is created, and the pause."""

    state: State
    calls: str
    paused: timedelta | None = None
    stopped: bool = False


TO_MIDNIGHT = timedelta.max
CLOSING: dict[str, dict[str, Any]] = {
    "over-qps": {"paused": timedelta(seconds=1)},
    "429-html": {"paused": timedelta(seconds=2)},  # As its Retry-After asks.
    "over-quota": {"paused": TO_MIDNIGHT},
    **{fault: {"stopped": True} for fault in STOPPING},
}
CREATE = {
    **dict.fromkeys(("slow", "unlisted"), Course(State.CREATED, "POST")),
    **dict.fromkeys(CREATED_UNCLEAR, Course(State.UNCONFIRMED, "POST GET")),
    **dict.fromkeys(NOTHING_UNCLEAR, Course(State.UNCONFIRMED, "POST GET POST")),
    **dict.fromkeys(NOTHING_CREATED, Course(State.QUEUED, "POST POST")),
    **dict.fromkeys(PERHAPS_LATER, Course(State.UNCONFIRMED, "POST GET GET POST")),
    **{fault: Course(State.QUEUED, "POST POST", **closed) for fault, closed in CLOSING.items()},
}
"""Fault of the call that creates an account → its course."""
LOOK_UP = {
    **dict.fromkeys(("slow", "unlisted"), Course(State.CREATED, "POST GET")),
    **dict.fromkeys(
        (*CREATED_UNCLEAR, *NOTHING_UNCLEAR, *NOTHING_CREATED, *PERHAPS_LATER),
        Course(State.UNCONFIRMED, "POST GET GET"),
    ),
    **{fault: Course(State.UNCONFIRMED, "POST GET GET", **closed) for fault, closed in CLOSING.items()},
}
"""Fault of the look-up of an account that was created without an answer → its course."""


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_any_fault_in_the_create_call_results_in_one_account(fault: str, sandbox: Server) -> None:
    account, course = sign_up(), CREATE[fault]
    sandbox.provider.fail_next("create", fault)

    run_into(fault, sandbox, jobs=1)

    follows(course, account, sandbox)


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_the_account_is_found_after_any_fault_in_the_look_up(fault: str, sandbox: Server) -> None:
    account, course = sign_up(), LOOK_UP[fault]
    sandbox.provider.fail_next("create", "reset-after")
    sandbox.provider.fail_next("list", fault)

    run_into(fault, sandbox, jobs=2)

    follows(course, account, sandbox)


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_resent_before_the_look_up_is_complete(fault: str, sandbox: Server) -> None:
    account, course = sign_up(), LOOK_UP[fault]
    sandbox.provider.fail_next("create", "reset-before")
    sandbox.provider.fail_next("list", fault)

    run_into(fault, sandbox, jobs=2)

    assert again(account).state == (State.UNCONFIRMED if course.state == State.UNCONFIRMED else State.QUEUED)
    reopen()
    work()
    is_created(account, f"{course.calls} POST", sandbox)


def run_into(fault: str, sandbox: Server, jobs: int) -> None:
    """Do this many jobs, with the fault in the last one."""
    sandbox.provider.delay = 0.1 if fault == "slow" else 1000
    work(jobs - 1)
    before = len(sandbox.provider.calls)
    with deadline_once(lambda: len(sandbox.provider.calls) > before) if fault in SILENT else nullcontext():
        work(1)


def follows(course: Course, account: Account, sandbox: Server) -> None:
    assert again(account).state == course.state
    closure = gateway.current_pause()
    assert (closure is not None and closure.until is None) == course.stopped
    until = closure.until if closure else None
    assert (until is not None) == (course.paused is not None)
    if until and course.paused == TO_MIDNIGHT:
        assert until.astimezone(UTC).time().isoformat() == "00:00:00"
        assert timedelta() < until - now() <= timedelta(days=1)
    elif until and course.paused:
        assert timedelta() < until - now() <= course.paused
    if closure:
        assert work() == 0
        assert again(account).state == course.state
    reopen()
    work()
    is_created(account, course.calls, sandbox)


def reopen() -> None:
    """Let time pass, and resume the gateway if it was stopped."""
    if gateway.state().stop_reason:
        gateway.resume()
    pass_time(timedelta(days=1))


def is_created(account: Account, calls: str, sandbox: Server) -> None:
    account = again(account)
    assert account.state == State.CREATED
    assert {name: each.id for name, each in sandbox.provider.accounts.items()} == {account.username: account.account_id}
    assert not account.password
    is_told_by(calls, account, sandbox)


def is_told_by(calls: str, account: Account, sandbox: Server) -> None:
    """Check that these calls were made, that each create call has its evidence, and each conclusive list too."""
    assert " ".join(call.method for call in sandbox.provider.calls) == calls
    kinds = [attempt.kind for attempt in account.attempts.all()]
    assert kinds.count(Attempt.Kind.CREATE) == calls.count("POST")
    assert (Attempt.Kind.LOOK_UP in kinds) == ("GET" in calls)
    assert not account.attempts.filter(outcome="").exists()
    assert not account.attempts.filter(ended_at=None).exists()


# Failures that concern all accounts don't count against any of them


@pytest.mark.parametrize("fault", CLOSING)
def test_an_account_is_sent_as_soon_as_the_gateway_reopens(fault: str, sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", fault)
    work(jobs=1)

    due_at = again(account).due_at
    assert due_at is not None
    assert due_at <= now()
    assert [attempt.outcome for attempt in account.attempts.all()] == [Outcome.NOT_DONE]


@pytest.mark.parametrize("fault", CLOSING)
def test_a_closed_gateway_delays_all_accounts_and_fails_none(fault: str, sandbox: Server) -> None:
    accounts = [sign_up(username=name) for name in ("anna", "berta", "clara")]
    sandbox.provider.fail_next("create", fault)
    work()

    assert [again(account).state for account in accounts] == [State.QUEUED] * 3
    assert len(sandbox.provider.calls) == 1
    assert Attempt.objects.count() == 1

    reopen()
    work()
    assert [again(account).state for account in accounts] == [State.CREATED] * 3


# Refusals


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


@BOTH
@pytest.mark.parametrize("country", ["DE", "GB", "PR"])
def test_a_customer_outside_us_and_canada_gets_an_account(country: str, sandbox: Server) -> None:
    account = sign_up(country_code=country, state_code="")
    work()
    is_created(account, "POST", sandbox)


# Usernames in use


def take(name: str, sandbox: Server) -> None:
    """Give someone else the username: a partner's list does not show other partners' accounts."""
    sandbox.provider.delay = 1000
    sandbox.provider.fail_next("create", "unlisted")
    with partner_of(sandbox.url) as somebody:
        somebody.create(name)
    sandbox.provider.calls.clear()


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


def test_an_account_listed_late_is_found_after_a_409_for_its_own_name(sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.delay = 0.5
    sandbox.provider.fail_next("create", "unlisted")
    die_after_the_call()

    work(jobs=2)
    assert again(account).state == State.UNCONFIRMED
    with partner_of(sandbox.url) as partner:
        until(partner.names)
    del sandbox.provider.calls[3:]
    work()

    account = again(account)
    assert (account.state, account.account_id) == (State.CREATED, sandbox.provider.accounts[account.username].id)
    assert [call.method for call in sandbox.provider.calls] == ["POST", "GET", "POST", "GET"]


@BOTH
@pytest.mark.parametrize(
    ("looks", "state", "calls"),
    [(1, State.UNCONFIRMED, "POST GET GET"), (2, State.QUEUED, "POST GET GET POST GET")],
    ids=["before it is sent again", "after which it is sent again"],
)
def test_an_account_created_after_its_look_up_is_still_found(
    looks: int, state: State, calls: str, sandbox: Server
) -> None:
    account = sign_up()
    sandbox.provider.delay = 0.5
    sandbox.provider.fail_next("create", "later")
    work(jobs=1 + looks)
    assert again(account).state == state
    until(lambda: sandbox.provider.accounts)

    work()

    is_created(account, calls, sandbox)


def test_look_ups_after_a_503_back_off(sandbox: Server, settings: Settings) -> None:
    settings.PROVISION_RECHECK = 30.0
    account = sign_up()
    sandbox.provider.fail_next("create", "503")
    waits = []
    for _ in range(2):
        work()
        due_at = again(account).due_at
        assert due_at is not None
        waits.append((due_at - now()).total_seconds())
        pass_time(due_at - now())

    assert waits == [pytest.approx(30, abs=5), pytest.approx(60, abs=5)]
    work()
    is_created(account, "POST GET GET POST", sandbox)


# The access token of v3


@pytest.mark.parametrize("api", ["v3"], indirect=True)
def test_a_token_that_expires_early_costs_one_call_and_no_stop(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_up()
    monkeypatch.setattr(v3, "FRESH", 0.0)
    sandbox.provider.fail_next("create", "token-end")

    work(jobs=1)

    assert (again(account).state, gateway.current_pause()) == (State.QUEUED, None)
    reopen()
    work()
    is_created(account, "POST POST", sandbox)
    assert len(sandbox.provider.token_calls) == 2


# Limits


def test_an_account_that_never_gets_an_answer_goes_to_staff(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    account, other = sign_up(), sign_up(username="berta")
    sandbox.provider.fail_next("create", "500", times=2 * MOST_UNANSWERED)
    work()

    for each in (account, other):
        assert (again(each).state, again(each).due_at) == (State.UNCONFIRMED, None)
        assert each.attempts.filter(kind=Attempt.Kind.CREATE).count() == MOST_UNANSWERED
        assert f"account needs staff reference={each.reference}" in caplog.messages
    assert set(Account.objects.waiting_for_staff()) == {account, other}

    services.retry(again(account))
    work()
    assert again(account).state == State.CREATED
    assert again(other).state == State.UNCONFIRMED


def test_a_failed_retry_by_staff_comes_back_to_them(sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", "500", times=MOST_UNANSWERED + 1)
    work()
    services.retry(again(account))
    work()

    assert (again(account).state, again(account).due_at) == (State.UNCONFIRMED, None)


def test_calls_under_an_old_username_do_not_count_for_the_new_one(sandbox: Server) -> None:
    """Calls under the old name say nothing about the new one."""
    account = sign_up()
    sandbox.provider.fail_next("create", "reset-before")
    work(jobs=2)
    take(SIGN_UP["username"], sandbox)
    take("anna-2", sandbox)
    work(jobs=1)
    services.reject_username(again(account))
    services.correct(again(account), {"username": "anna-2"})
    work(jobs=1)

    assert again(account).state == State.REJECTED


def test_a_lost_sealing_key_blocks_only_accounts_sealed_with_it(settings: Settings, sandbox: Server) -> None:
    old = settings.SEALING_KEYS
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    lost = sign_up()
    settings.SEALING_KEYS = old
    other = sign_up(username="berta")

    work(jobs=2)

    assert again(other).state == State.CREATED
    assert again(lost).state == State.QUEUED
    attempt = lost.attempts.get()
    assert (attempt.outcome, "SEALING_KEYS" in attempt.error_message) == (Outcome.NOT_DONE, True)
    assert [call.username for call in sandbox.provider.calls] == ["berta"]
