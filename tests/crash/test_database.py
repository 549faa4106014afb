"""A worker whose PostgreSQL goes away, falls silent, is read-only, or is locked by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from provisioning import gateway, models
from provisioning.database import LOCKED, SLOW
from provisioning.models import Account, Attempt
from provisioning.sandbox import Server
from tests.crash.conftest import Held, come_in
from tests.crash.worker import Worker
from tests.line import Line
from tests.postgresql import WAITING
from tests.provisioning.sandbox.partner import until
from tests.provisioning.work import again, sign_up

pytestmark = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server that could go away")

State, Outcome = Account.State, Attempt.Outcome


def cut_off(cursor: CursorWrapper) -> object:
    """End the connections that wait for a lock. Return whether there were any."""
    cursor.execute("SELECT pg_terminate_backend(pid) " + WAITING)
    return cursor.fetchone()


def test_an_answer_is_stored_even_if_the_database_fails_meanwhile(sandbox: Server, held: Held) -> None:
    account = sign_up()
    worker = Worker("--once")
    until(come_in(held, 1))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE provisioning_attempt IN EXCLUSIVE MODE")
        held[0].set()
        until(lambda: cut_off(cursor))
    assert worker.end()[0] == 0
    assert account.attempts.get().outcome == Outcome.CREATED
    assert again(account).account_id == sandbox.provider.accounts[account.username].id


def test_a_worker_without_a_database_ends_cleanly_on_a_signal(sandbox: Server) -> None:
    worker = Worker()
    until(models.Worker.objects.exists)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE provisioning_worker IN EXCLUSIVE MODE")
        worker.process.terminate()
        until(lambda: (cut_off(cursor), worker.process.exitcode)[1] is not None)
    assert worker.process.exitcode == 0


@pytest.fixture
def line(settings: Settings) -> Iterator[Line]:
    settings.STATEMENT_TIMEOUT = 1.0
    with Line(connection.settings_dict["PORT"]) as line:
        yield line


def worker_over(line: Line, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Start a worker that reaches the database over the line."""
    with monkeypatch.context() as over:
        over.setitem(connection.settings_dict, "PORT", line.port)
        over.setitem(connection.settings_dict["OPTIONS"], "connect_timeout", 2)
        worker = Worker()
    until(models.Worker.objects.exists)
    return worker


def test_a_worker_recovers_from_a_dead_database_connection(
    sandbox: Server, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_over(line, monkeypatch)
    line.die()
    until(line.swallowed.is_set)
    line.revive()
    account = sign_up()

    until(lambda: again(account).state == State.CREATED)
    worker.process.terminate()
    assert worker.end()[0] == 0


def test_a_worker_with_a_dead_database_connection_ends_on_a_signal(
    sandbox: Server, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_over(line, monkeypatch)
    line.die()
    until(line.swallowed.is_set)

    worker.process.terminate()

    until(lambda: worker.process.exitcode is not None)
    assert worker.process.exitcode == 0


def test_a_worker_waits_for_a_standby_that_is_still_read_only(sandbox: Server, held: Held) -> None:
    account = sign_up()
    worker = Worker(chores=0.1)
    until(come_in(held, 1))
    with connection.cursor() as cursor:
        with read_only(cursor):
            held[0].set()
            until(has_reconnected(cursor, 4))  # After each refusal.
            assert again(account).state == State.SENDING
        cursor.execute("SELECT pg_terminate_backend(pid) " + OTHERS)
    until(lambda: again(account).state == State.CREATED)
    worker.process.terminate()
    assert worker.end()[0] == 0


OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@contextmanager
def read_only(cursor: CursorWrapper) -> Iterator[None]:
    """Restart all other sessions, on a database that is read-only."""
    database = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    cursor.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    cursor.execute("SELECT pg_terminate_backend(pid) " + OTHERS)
    try:
        yield
    finally:
        cursor.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")


def has_reconnected(cursor: CursorWrapper, times: int) -> Callable[[], bool]:
    sessions: set[int] = set()

    def has() -> bool:
        cursor.execute("SELECT pid " + OTHERS)
        sessions.update(pid for (pid,) in cursor.fetchall())
        return len(sessions) >= times

    return has


def test_a_lock_on_the_gateway_is_reported_and_waited_for(sandbox: Server, settings: Settings) -> None:
    settings.STATEMENT_TIMEOUT = 0.5
    gateway.state()
    account = sign_up()
    with transaction.atomic():
        models.Gateway.objects.select_for_update().get()
        worker = Worker(chores=0.1)
        until(lambda: models.Worker.objects.filter(problem=LOCKED).exists())
    until(lambda: again(account).state == State.CREATED)
    worker.process.terminate()
    assert worker.end()[0] == 0


def test_several_workers_all_report_a_lock_on_the_gateway_while_one_account_waits(
    sandbox: Server, settings: Settings
) -> None:
    """They take turns at the account. Those that find it taken meanwhile must not report that all is well."""
    settings.STATEMENT_TIMEOUT = 0.5
    gateway.state()
    account = sign_up()
    with transaction.atomic():
        models.Gateway.objects.select_for_update().get()
        workers = [Worker(chores=0.1) for _ in range(3)]
        until(lambda: models.Worker.objects.filter(problem=LOCKED).count() == 3)
    until(lambda: again(account).state == State.CREATED)
    until(lambda: models.Worker.objects.filter(problem="").count() == 3)
    for worker in workers:
        worker.process.terminate()
    assert [worker.end()[0] for worker in workers] == [0, 0, 0]


def test_a_lock_that_outlasts_the_lease_costs_no_second_call(sandbox: Server, held: Held, settings: Settings) -> None:
    settings.STATEMENT_TIMEOUT, settings.PROVISION_LEASE, settings.CONSTANT_CONTACT_TIMEOUT = 0.5, 2.0, 1.0
    account = sign_up()
    worker = Worker(chores=0.1)
    until(come_in(held, 1))
    with transaction.atomic():
        Account.objects.select_for_update().get()
        held[0].set()
        until(lambda: models.Worker.objects.filter(problem=SLOW).exists())
    until(lambda: again(account).state == State.CREATED)
    worker.process.terminate()
    assert worker.end()[0] == 0
    assert [call.method for call in sandbox.provider.calls].count("POST") == 1
