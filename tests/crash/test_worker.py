"""A worker that is told to end, or is delayed during a call while others go on."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from provisioning import models
from provisioning.models import Account, Attempt, ListPass
from provisioning.sandbox import Server
from tests.crash.conftest import Held, come_in
from tests.crash.worker import PAGE, Worker
from tests.provisioning.sandbox.partner import until
from tests.provisioning.work import account_in, again, pass_time, sign_up

State, Outcome = Account.State, Attempt.Outcome


def test_on_a_signal_it_settles_the_call_in_flight_and_makes_no_other(sandbox: Server, held: Held) -> None:
    first, second = sign_up(username="first"), sign_up(username="second")
    worker = Worker()
    until(come_in(held, 1))
    worker.process.terminate()
    held[0].set()
    assert worker.end()[0] == 0
    assert again(first).account_id == sandbox.provider.accounts["first"].id
    assert again(second).state == State.QUEUED
    assert not second.attempts.exists()
    assert not models.Worker.objects.exists()


def test_on_a_second_signal_it_leaves_the_call_to_its_lease(sandbox: Server, held: Held) -> None:
    account = sign_up()
    worker = Worker()
    until(come_in(held, 1))

    def told_to_end() -> bool:
        worker.process.terminate()
        return worker.process.exitcode is not None

    until(told_to_end)
    assert worker.process.exitcode == 1
    assert again(account).state == State.SENDING
    assert account.attempts.get().outcome == ""
    pass_time(timedelta(minutes=1))
    Worker("--once").end()
    assert again(account).account_id == sandbox.provider.accounts[account.username].id
    assert [call.method for call in sandbox.provider.calls] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("fault", "meanwhile", "learned"),
    [("500", State.SENDING, Outcome.UNKNOWN), ("slow", State.CREATED, Outcome.CREATED)],
    ids=["while another one sends it again", "after another one has found it"],
)
def test_an_answer_that_comes_after_the_lease_changes_nothing_but_its_own_attempt(
    fault: str, meanwhile: str, learned: str, sandbox: Server, held: Held
) -> None:
    sandbox.provider.delay = 0
    sandbox.provider.fail_next("create", fault)
    account = sign_up()
    slow = Worker("--once")
    until(come_in(held, 1))
    pass_time(timedelta(minutes=1))
    quick = Worker("--once")
    until(lambda: again(account).state == meanwhile and (meanwhile == State.CREATED or len(held) == 2))
    as_it_was = Account.objects.values().get()
    held[0].set()
    assert slow.end()[0] == 0
    assert Account.objects.values().get() == as_it_was
    assert account.attempts.earliest("pk").outcome == learned
    held[-1].set()
    assert quick.end()[0] == 0
    assert again(account).account_id == sandbox.provider.accounts[account.username].id


def test_a_call_whose_answer_trickles_in_is_cut_off_when_its_time_is_over(sandbox: Server) -> None:
    sandbox.provider.trickle = 0.05  # About 20 seconds for the whole answer.
    account = sign_up(username="trickle.anna")
    Worker("--once").end()
    call = account.attempts.earliest("pk")
    assert call.outcome == Outcome.UNKNOWN
    assert call.duration is not None
    assert timedelta(seconds=1) <= call.duration < timedelta(seconds=5)
    assert again(account).state == State.CREATED


def test_no_database_connection_is_held_during_a_call(held: Held, settings: Settings) -> None:
    settings.PROVISION_THREADS = 4
    for number in range(4):
        sign_up(username=f"customer{number}")
    worker = Worker()
    until(come_in(held, 4))
    until(lambda: connections_of(worker) == 2)  # Those that look for work: the main thread's and the deliverer's.
    worker.process.terminate()
    for call in held:
        call.set()
    assert worker.end()[0] == 0
    assert Account.objects.filter(state=State.CREATED).count() == 4


def connections_of(worker: Worker) -> int:
    if connection.vendor == "sqlite":
        files = Path(f"/proc/{worker.process.pid}/fd").iterdir()
        return sum(os.path.realpath(file) == str(connection.settings_dict["NAME"]) for file in files)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


# Pages of the partner's list


@pytest.fixture
def lost(sandbox: Server) -> Account:
    """Return an account whose call went unanswered, and which is on the second page of the list."""
    account = account_in(State.UNCONFIRMED)
    Attempt.objects.create(
        account=account, kind=Attempt.Kind.CREATE, outcome=Outcome.UNKNOWN, username=account.username
    )
    for number in range(PAGE):
        sandbox.provider.add_account(f"elder-{number}", "Else Where")
    sandbox.provider.add_account(account.username, account.organization_name)
    return account


def test_on_a_signal_it_waits_for_a_page_no_longer_than_its_timeout(sandbox: Server, lost: Account) -> None:
    sandbox.provider.fail_next("list", "hang-before")
    worker = Worker()
    until(lambda: sandbox.provider.calls)
    worker.process.terminate()
    assert worker.end()[0] == 0
    assert len(sandbox.provider.calls) == 1
    assert ListPass.objects.get().failures == 1


def test_on_a_signal_it_leaves_an_endless_list_to_others(sandbox: Server, lost: Account) -> None:
    sandbox.provider.list_fault = "endless"
    worker = Worker()
    until(lambda: len(sandbox.provider.calls) > 3)
    worker.process.terminate()
    assert worker.end()[0] == 0
    held = ListPass.objects.get()
    assert (held.outcome, held.pages) == ("", len(sandbox.provider.calls))
    assert held.page


def test_a_killed_worker_costs_only_the_page_that_it_was_reading(sandbox: Server, lost: Account) -> None:
    sandbox.provider.delay = 0
    for fault in ("slow", "hang-before"):
        sandbox.provider.fail_next("list", fault)
    worker = Worker()
    until(lambda: len(sandbox.provider.calls) == 2)
    worker.process.kill()
    worker.process.join()
    pass_time(timedelta(minutes=1))
    assert Worker("--once").end()[0] == 0
    assert again(lost).account_id == sandbox.provider.accounts[lost.username].id
    assert len(sandbox.provider.calls) == 3
    assert ListPass.objects.get().pages == 2
