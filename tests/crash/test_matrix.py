"""The crash matrix: a worker is killed at every boundary of its work, and after each kill another one carries on."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from provisioning.models import Account, Attempt, Gateway
from provisioning.sandbox import Provider, Server
from tests.conftest import Say
from tests.crash.worker import KILLED, Worker
from tests.provisioning.sandbox.partner import partner_of, provider
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import account_in, pass_time

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

# Each API and each database, but not each with each: nothing between them depends on both.
APIS = ["v2", "v3"] if connection.vendor == "sqlite" else ["v2"]
FEWEST = 60
"""A worker comes to more boundaries than this even where all is well."""


def nothing(account: Account, server: Server) -> None:
    pass


def answer_is_lost(fault: str) -> Callable[[Account, Server], None]:
    return lambda account, server: server.provider.fail_next("create", fault)


def was_created_meanwhile(account: Account, server: Server) -> None:
    """An earlier call brought no answer and the account was looked for in vain; yet by now it is there."""
    with partner_of(server.url) as partner:
        Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, outcome=Outcome.UNKNOWN)
        partner.create(account.username)
        Attempt.objects.create(account=account, kind=Kind.LOOK_UP, username=account.username, outcome=Outcome.ABSENT)
        partner.page()


def was_left_behind(account: Account, server: Server) -> None:
    """A worker died in mid-call, and its lease is over; yet the account was created."""
    account.move(State.SENDING, due_in=timedelta(days=-1), claim=uuid.uuid4())
    Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username)
    with partner_of(server.url) as partner:
        partner.create(account.username)


@dataclass(frozen=True)
class Scenario:
    before: Callable[[Account, Server], None] = nothing
    entered: dict[str, Any] = field(default_factory=dict)
    ends: str = State.CREATED
    late: float = 60.0


SCENARIOS = {
    "all is well": Scenario(),
    "created, but the answer is lost": Scenario(answer_is_lost("reset-after")),
    "not created, and the answer is lost": Scenario(answer_is_lost("reset-before")),
    "taken, by an earlier call of ours": Scenario(was_created_meanwhile),
    "left behind by a dead worker": Scenario(was_left_behind),
    "too busy to keep to its time": Scenario(late=-1.0),
    "refused for what was entered": Scenario(entered={"phone": "none"}, ends=State.REJECTED),
}


@pytest.mark.long
@pytest.mark.parametrize("api", APIS, indirect=True)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_worker_killed_anywhere_leaves_what_another_one_can_finish(
    name: str, api: str, sandbox: Server, say: Say
) -> None:
    visited = []
    scenario = SCENARIOS[name]
    for dies_at in itertools.count(1):
        account = submitted(scenario, sandbox)
        status, boundaries = Worker("--once", dies_at=dies_at, late=scenario.late).end()
        where = f"killed {boundaries[-1]}, number {dies_at}"
        tells_the_truth(account, sandbox.provider, where)
        carry_on(account, until=scenario.ends)
        is_settled(account, scenario.ends, sandbox.provider, where)
        if status != KILLED:
            break
        visited.append(boundaries[-1])
    say(f"{connection.vendor}, {api}: {len(visited)} boundaries visited, {name}")
    assert visited == boundaries
    assert len(visited) > FEWEST


def submitted(scenario: Scenario, sandbox: Server) -> Account:
    """An account in the queue of an otherwise empty database, and a new provider."""
    Account.objects.all().delete()
    Gateway.objects.all().delete()
    sandbox.provider = provider()
    account = account_in(State.QUEUED, **scenario.entered)
    scenario.before(account, sandbox)
    return account


def carry_on(account: Account, until: str) -> None:
    """Let other workers do what is to be done, and time pass meanwhile."""
    for _ in range(5):
        pass_time(timedelta(days=1))
        assert Worker("--once").end()[0] == 0
        account.refresh_from_db()
        if account.state == until:
            break


def tells_the_truth(account: Account, provider: Provider, where: str) -> None:
    """Right after the kill: no call without evidence, and none under way that the state does not tell of."""
    account.refresh_from_db()
    last = account.attempts.filter(kind=Kind.CREATE).last()
    under_way = last is not None and last.outcome == "" and last.ended_at is None
    assert account.state != State.SENDING or under_way, where
    has_evidence_of_every_call(account, provider, where)


def is_settled(account: Account, state: str, provider: Provider, where: str) -> None:
    account.refresh_from_db()
    assert account.state == state, where
    there = {name: each.id for name, each in provider.accounts.items()}
    if state == State.CREATED:
        assert there == {account.username: account.account_id}, where
        assert not account.password, where
    else:
        assert not there, where
        assert account.password.open() == SIGN_UP["password"], where
    has_evidence_of_every_call(account, provider, where)
    assert "POST POST" not in " ".join(call.method for call in provider.calls), where


def has_evidence_of_every_call(account: Account, provider: Provider, where: str) -> None:
    calls, attempts = [call.method for call in provider.calls], account.attempts
    assert calls.count("POST") <= attempts.filter(kind=Kind.CREATE).count(), where
    assert calls.count("GET") <= attempts.filter(kind=Kind.LOOK_UP).count(), where
