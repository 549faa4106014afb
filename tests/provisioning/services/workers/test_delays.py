"""A delayed worker sends nothing that is no longer its own."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.gateway import permits
from provisioning.models import Gateway
from provisioning.sandbox import Server
from tests.provisioning.services.workers.conftest import HOUR, LEASE, Outcome, claimed
from tests.provisioning.work import State, again, now, pass_time, sign_up

pytestmark = pytest.mark.django_db


def held_up() -> services.AccountClaim:
    """Return a claim whose permit has expired."""
    claim = claimed()
    claim.permit = gateway.Permit(0, 0)
    return claim


def test_an_expired_permit_is_replaced_and_the_lease_renewed(
    sandbox: Server,
) -> None:
    account = sign_up()
    claim = held_up()
    services.provision(claim)

    assert again(account).state == State.CREATED
    assert gateway.state().calls == 2
    assert len(sandbox.provider.calls) == 1


def test_the_lease_of_a_delayed_worker_is_restarted() -> None:
    account = sign_up()
    claim = held_up()
    pass_time(LEASE - timedelta(seconds=10))
    claim.start()

    due_at = again(account).due_at
    assert due_at is not None
    assert due_at - now() > LEASE - timedelta(seconds=10)


def test_a_worker_delayed_beyond_its_lease_sends_nothing(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A worker was suspended, as on a closed laptop. Others may have looked up and sent the account meanwhile."""
    account = sign_up()
    claim = held_up()
    pass_time(HOUR)
    services.expire()
    services.provision(claim)

    assert not sandbox.provider.calls
    assert again(account).state == State.UNCONFIRMED
    assert again(account).attempts.get().outcome == Outcome.NOT_DONE
    assert f"late answer reference={account.reference} meaning=retry" in caplog.messages


def test_a_worker_delayed_until_the_gateway_stopped_sends_nothing(sandbox: Server) -> None:
    account = sign_up()
    claim = held_up()
    gateway.stop("for a test")
    services.provision(claim)

    assert not sandbox.provider.calls
    assert again(account).state == State.QUEUED


def test_a_delayed_worker_waits_for_a_short_pause_but_not_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        pass_time(timedelta(seconds=seconds))

    monkeypatch.setattr(time, "sleep", sleep)
    sign_up()
    claim = claimed()
    for pause in (timedelta(seconds=10), timedelta(seconds=20)):
        claim.permit = gateway.Permit(0, 0)
        Gateway.objects.update(paused_until=now() + pause)
        claim.start()  # After too short a sleep, it would sleep again.
        assert timedelta(seconds=slept[-1]) <= pause
    claim.permit = gateway.Permit(0, 0)
    Gateway.objects.update(paused_until=now() + HOUR)
    with pytest.raises(gateway.CallNotPermitted):
        claim.start()
    assert len(slept) == 2


def test_a_busy_machine_gets_a_permit_that_it_can_use(
    sandbox: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONSTANT_CONTACT_RATE = 100
    monkeypatch.setattr(permits, "LATE", 0.005)
    monkeypatch.setattr(permits, "sleep", lambda seconds: time.sleep(seconds + 0.3))
    account = sign_up()
    services.provision(claimed())

    assert again(account).state == State.CREATED
    assert gateway.state().calls == 1 + len(permits.LATENESS)
    assert len(sandbox.provider.calls) == 1


def test_a_machine_too_busy_to_use_a_permit_postpones_the_call(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permits, "LATE", -10.0)
    account = sign_up()
    services.provision(claimed())

    account = again(account)
    assert not sandbox.provider.calls
    assert account.state == State.QUEUED
    assert account.due_at is not None
    assert account.due_at > now()
    assert gateway.state().calls == 1 + len(permits.LATENESS)
