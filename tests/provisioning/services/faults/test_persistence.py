"""Faults that last or come back cost neither an account nor endless calls."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import v3
from provisioning.models import Account, Attempt
from provisioning.sandbox import Server
from provisioning.services.settlement import MAX_UNANSWERED
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.services.faults.conftest import Advance
from tests.provisioning.services.faults.outcomes import Outcome, is_created, reopen, take
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, again, now, pass_time, sign_up, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("calibrated")]


@BOTH
@pytest.mark.parametrize(
    ("looks", "state", "calls"),
    [(1, State.UNCONFIRMED, "POST GET GET"), (2, State.QUEUED, "POST GET GET POST GET")],
    ids=["before it is sent again", "after which it is sent again"],
)
def test_an_account_created_after_its_look_up_is_still_found(
    looks: int, state: State, calls: str, sandbox: Server, advance_sandbox: Advance
) -> None:
    account = sign_up()
    sandbox.provider.delay = 1000
    sandbox.provider.fail_next("create", "later")
    work(jobs=1 + looks)
    assert again(account).state == state
    advance_sandbox(timedelta(seconds=1000))

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


def test_an_account_that_never_gets_an_answer_goes_to_staff(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    account, other = sign_up(), sign_up(username="berta")
    sandbox.provider.fail_next("create", "500", times=2 * MAX_UNANSWERED)
    work()

    for each in (account, other):
        assert (again(each).state, again(each).due_at) == (State.UNCONFIRMED, None)
        assert each.attempts.filter(kind=Attempt.Kind.CREATE).count() == MAX_UNANSWERED
        assert f"account needs staff reference={each.reference}" in caplog.messages
    assert set(Account.objects.waiting_for_staff()) == {account, other}

    services.retry(again(account))
    work()
    assert again(account).state == State.CREATED
    assert again(other).state == State.UNCONFIRMED


def test_a_failed_retry_by_staff_comes_back_to_them(sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", "500", times=MAX_UNANSWERED + 1)
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
