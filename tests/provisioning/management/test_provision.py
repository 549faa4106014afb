"""The worker, as a command in this process and as a separate process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.database import UNREACHABLE
from provisioning.gateway import permits
from provisioning.management.commands import provision
from provisioning.mirror import passes
from provisioning.models import Account, Worker
from provisioning.sandbox import Server
from provisioning.sandbox.messages import Request
from provisioning.sandbox.provider import Reply
from tests.checkout import ROOT, Program
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import until
from tests.provisioning.work import State, account_in, again, database_url, sign_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings: Settings, sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.CONSTANT_CONTACT_RATE = 1000.0
    settings.PROVISION_RECHECK = 0.0
    monkeypatch.setattr(permits, "LATE", 60.0)
    monkeypatch.setattr(passes, "MAX_PASS_BACK_OFF", timedelta())
    monkeypatch.setattr(provision, "BUSY", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    services.workers.ending.clear()  # Other tests of this process are not about to end.
    for number, handler in handlers.items():
        signal.signal(number, handler)


def during_calls(sandbox: Server, act: Callable[[Request], Any]) -> None:
    """Do something after each call is received, before it is answered."""
    reply = sandbox.provider.reply

    def act_and_reply(request: Request) -> Reply:
        try:
            act(request)
        finally:
            connection.close()  # The connection of the sandbox's own thread.
        return reply(request)

    sandbox.provider.reply = act_and_reply  # type: ignore[method-assign]


def states() -> list[str]:
    return list(Account.objects.order_by("pk").values_list("state", flat=True))


def test_once_does_everything_due_and_ends() -> None:
    for name in ("anna-1", "anna-2", "anna-3"):
        sign_up(username=name)
    account_in(State.UNCONFIRMED, username="berta-1")
    account_in(State.SENDING, username="berta-2")

    call_command("provision", "--once")

    assert states() == [State.CREATED] * 5
    assert not Worker.objects.exists()


def test_a_restart_sends_what_could_not_be_sent_with_the_settings_before(settings: Settings) -> None:
    sign_up()
    right, settings.SEALING_KEYS = settings.SEALING_KEYS, [Fernet.generate_key().decode()]
    services.claim_account()
    settings.SEALING_KEYS = right

    call_command("provision", "--once")

    assert states() == [State.CREATED]


def test_once_waits_for_the_rate_limit(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_RATE = 4.0
    for name in ("anna-1", "anna-2", "anna-3"):
        sign_up(username=name)

    call_command("provision", "--once", "--threads=1")

    assert states() == [State.CREATED] * 3


def test_once_does_not_wait_for_a_stopped_gateway() -> None:
    sign_up()
    gateway.stop("for a test")

    call_command("provision", "--once")

    assert states() == [State.QUEUED]


def test_new_sign_ups_are_sent_before_others_are_looked_up(sandbox: Server) -> None:
    account_in(State.UNCONFIRMED, username="berta-1")
    for number in range(3):
        sign_up(username=f"anna-{number}")

    call_command("provision", "--once", "--threads=1")

    assert [call.method for call in sandbox.provider.calls][:4] == ["POST", "POST", "POST", "GET"]


def test_no_more_calls_are_in_flight_than_there_are_threads(sandbox: Server) -> None:
    sandbox.provider.latency = 0.05
    for number in range(8):
        sign_up(username=f"anna-{number}")
    counted: list[int] = []
    during_calls(sandbox, lambda request: counted.append(Account.objects.filter(state=State.SENDING).count()))

    call_command("provision", "--once", "--threads=2")

    assert states() == [State.CREATED] * 8
    assert max(counted) == 2


def test_a_running_worker_reports_itself(sandbox: Server) -> None:
    sign_up()
    seen: list[str] = []
    during_calls(sandbox, lambda request: seen.extend(Worker.objects.values_list("name", flat=True)))

    call_command("provision", "--once")

    assert [name.rpartition(":")[2] for name in seen] == [str(os.getpid())]


# Shutdown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_it_settles_calls_in_flight_and_claims_no_more(number: int, sandbox: Server) -> None:
    sandbox.provider.latency = 0.2
    for name in ("anna-1", "anna-2"):
        sign_up(username=name)
    during_calls(sandbox, lambda request: os.kill(os.getpid(), number))

    call_command("provision", "--threads=1")

    assert states() == [State.CREATED, State.QUEUED]
    assert not Worker.objects.exists()


def ended_by_another_sigterm(worker: subprocess.Popen[bytes]) -> bool:
    """Signal again: for a worker that missed the first signal, this one is the first."""
    worker.terminate()
    return worker.poll() is not None


def test_on_a_second_signal_it_ends_at_once(sandbox: Server) -> None:
    sandbox.provider.latency = 1_000_000.0
    account = sign_up()
    command = [sys.executable, str(Path(__file__).parents[3] / "manage.py"), "provision"]
    environment = os.environ | {"DATABASE_URL": database_url(), "CONSTANT_CONTACT_URL": sandbox.url}
    worker = subprocess.Popen(command, env=environment)
    try:
        until(lambda: sandbox.provider.calls)
        worker.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(timeout=0.5)
        until(partial(ended_by_another_sigterm, worker))
        assert worker.returncode == 1
    finally:
        worker.kill()
        worker.wait()

    assert again(account).state == State.SENDING


# Failures


def test_it_survives_a_database_outage(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provision, "RECONNECT", 0.01)
    sign_up()
    true, failures = services.claim_account, iter([OperationalError("canary of the database"), OperationalError()])

    def claim_account() -> services.AccountClaim | None:
        if failure := next(failures, None):
            raise failure
        return true()

    monkeypatch.setattr(services, "claim_account", claim_account)
    during_calls(sandbox, lambda request: os.kill(os.getpid(), signal.SIGTERM))
    call_command("provision")

    assert states() == [State.CREATED]
    assert caplog.messages.count(f"worker blocked problem={UNREACHABLE!r}") == 2
    assert "canary" not in caplog.text


HANG = """
import os, threading, time
from django.conf import settings
from django.core.management import call_command
from provisioning.management.commands import provision
from provisioning.signals import chores

settings.CONSTANT_CONTACT_TIMEOUT, provision.SETTLING, provision.STANDSTILL = 0.5, 0.5, {standstill}

def hang(**_):
    print("hangs", flush=True)
    {hang}

chores.connect(hang)
call_command("provision")
"""


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Return a function that starts a worker with a chore that never ends."""
    programs: list[Program] = []

    def start(hang: str, standstill: float = PATIENCE) -> Program:
        code = f"import django; django.setup(){HANG.format(hang=hang, standstill=standstill)}"
        environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "signup.settings"}
        programs.append(Program([sys.executable, "-c", code], ROOT, environment, tmp_path / "log"))
        programs[-1].find("hangs")
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.wait()


def test_a_worker_whose_loop_stands_still_is_ended(hanging: Callable[..., Program]) -> None:
    program = hanging("time.sleep(600)", standstill=0.5)

    assert program.process.wait(PATIENCE) == 1
    assert re.search(r"Timeout.*in hang", program.said, re.DOTALL)


def test_told_to_end_a_worker_ends_even_if_a_thread_hangs(hanging: Callable[..., Program]) -> None:
    program = hanging("threading.Thread(target=time.sleep, args=[600]).start()")
    program.process.terminate()

    assert program.process.wait(PATIENCE) == 1


def test_a_worker_reports_why_it_cannot_work(monkeypatch: pytest.MonkeyPatch, sandbox: Server) -> None:
    monkeypatch.setattr(provision, "RECONNECT", 0.01)
    monkeypatch.setattr(provision, "CHORES", 0.0)
    sign_up()
    true, told = services.claim_account, []

    def claim_account() -> services.AccountClaim | None:
        told.append(Worker.objects.get().problem)
        if len(told) == 1:
            raise OperationalError("canary of the database")
        return true()

    monkeypatch.setattr(services, "claim_account", claim_account)
    during_calls(sandbox, lambda request: os.kill(os.getpid(), signal.SIGTERM))
    call_command("provision")

    assert told[:2] == ["", UNREACHABLE]


def test_a_problem_is_over_once_the_gateway_answers(monkeypatch: pytest.MonkeyPatch, sandbox: Server) -> None:
    """While sending is stopped, no account is claimed, but the database works again."""
    monkeypatch.setattr(provision, "RECONNECT", 0.01)
    monkeypatch.setattr(provision, "CHORES", 0.0)
    sign_up()
    gateway.stop("for a test")
    true, told = services.claim_account, []

    def claim_account() -> services.AccountClaim | None:
        told.append(Worker.objects.get().problem)
        if len(told) == 1:
            raise OperationalError
        if len(told) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return true()

    monkeypatch.setattr(services, "claim_account", claim_account)
    call_command("provision")

    assert told == ["", UNREACHABLE, ""]


def test_a_failed_job_does_not_stop_others(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    poisoned, other = sign_up(username="anna-1"), sign_up(username="anna-2")
    true = services.provision

    def fail_for_one(claim: services.AccountClaim) -> None:
        if claim.account == poisoned:
            raise ZeroDivisionError
        true(claim)

    monkeypatch.setattr(services, "provision", fail_for_one)
    call_command("provision", "--once")

    assert again(other).state == State.CREATED
    assert again(poisoned).state == State.SENDING
    assert "job failed; its claim is left to expire" in caplog.messages


def test_a_thread_has_no_database_connection_after_its_job() -> None:
    held: list[object] = []

    def job() -> None:
        Account.objects.exists()
        held.append(connection.connection)

    def in_a_thread() -> None:
        provision.run(job)
        held.append(connection.connection)

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert held[0] is not None
    assert held[1] is None
