"""Leases and waiting times end, and workers report themselves."""

from __future__ import annotations

import logging
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db.models.functions import Now

from provisioning import services
from provisioning.models import Account, MovedMeanwhile, Worker
from provisioning.sandbox import Server
from provisioning.sealed import NOTHING
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, again, pass_time, sign_up, work

pytestmark = pytest.mark.django_db


def test_an_account_left_by_a_dead_worker_becomes_unconfirmed() -> None:
    account = account_in(State.SENDING)
    services.expire()

    assert again(account).state == State.UNCONFIRMED
    assert again(account).claim not in (None, account.claim)
    assert again(account).password.open() == SIGN_UP["password"]


def test_an_account_never_corrected_is_closed_and_its_password_wiped() -> None:
    account = account_in(State.REJECTED)
    services.expire()

    assert (again(account).state, again(account).password) == (State.CLOSED, NOTHING)


@pytest.mark.parametrize("state", [state for state in State if state not in (State.SENDING, State.REJECTED)])
def test_nothing_else_expires(state: State) -> None:
    account = account_in(state)
    services.expire()
    assert again(account).state == state


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.UNCONFIRMED])
@pytest.mark.parametrize(
    "columns",
    [
        {"due_at": Now() + timedelta(days=300)},
        {"due_at": Now() + timedelta(hours=3), "state_changed_at": Now() + timedelta(hours=3)},
    ],
)
def test_a_clock_that_was_set_back_keeps_no_account_waiting(
    state: State, columns: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    account = account_in(state, **columns)
    services.expire()
    assert "clock went back" in caplog.text
    pass_time(timedelta(minutes=2))
    assert account in Account.objects.due()


def test_a_wait_that_the_provider_asked_for_is_kept() -> None:
    account = account_in(State.QUEUED, due_at=Now() + timedelta(hours=23))
    services.expire()
    assert again(account).due_at == account.due_at


@pytest.mark.parametrize("state", [State.SENDING, State.REJECTED])
def test_nothing_expires_before_its_time(state: State) -> None:
    account = account_in(state, due_at=Now() + timedelta(minutes=1))
    services.expire()
    assert again(account).state == state


def test_a_race_for_one_account_does_not_stop_others_from_expiring(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = account_in(State.SENDING), account_in(State.SENDING, username="berta")
    move = Account.move

    def lose_the_first(account: Account, *args: Any, **changes: Any) -> None:
        if account == first:
            raise MovedMeanwhile
        move(account, *args, **changes)

    monkeypatch.setattr(Account, "move", lose_the_first)
    services.expire()

    assert (again(first).state, again(second).state) == (State.SENDING, State.UNCONFIRMED)


def test_a_worker_reports_and_workers_long_unseen_are_deleted() -> None:
    services.record_heartbeat("one")
    Worker.objects.update(seen_at=Now() - timedelta(hours=25))
    services.record_heartbeat("two")
    services.record_heartbeat("two")

    assert [worker.name for worker in Worker.objects.all()] == ["two"]
    assert Worker.objects.get().seen_at >= Worker.objects.get().started_at

    services.remove_worker("two")
    assert not Worker.objects.exists()


def test_every_move_is_logged_as_one_line_with_the_reference(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    account = sign_up()
    sandbox.provider.fail_next("create", "reset-before")
    work()

    steps = [State.QUEUED, State.SENDING, State.UNCONFIRMED, State.QUEUED, State.SENDING, State.CREATED]
    assert [message for message in caplog.messages if message.startswith("account ")] == [
        f"account submitted reference={account.reference}",
        *(f"account moved reference={account.reference} from={old} to={new}" for old, new in pairwise(steps)),
    ]
