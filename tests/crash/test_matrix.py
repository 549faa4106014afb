"""The crash matrix: a worker is killed at every boundary of its work, and another one takes over each time.

Its work is to create accounts, and to read the partner's list page by page to find those whose call went unanswered.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now

from provisioning.mirror import passes
from provisioning.models import Account, Attempt, Gateway, ListEntry, ListPass
from provisioning.sandbox import Provider, Server
from tests.conftest import Say
from tests.crash.worker import KILLED, PAGE, Worker
from tests.provisioning.sandbox.partner import partner_of, provider
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import account_in, pass_time

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

# Each API and each database, but not all combinations: nothing depends on both.
APIS = ["v2", "v3"] if connection.vendor == "sqlite" else ["v2"]
FEWEST = 60
"""Even without a failure, a worker reaches more boundaries than this."""
ELSE = "Else Where"
"""The organization of accounts that no sign-up created."""


def nothing(account: Account, server: Server) -> None:
    pass


def answer_is_lost(fault: str) -> Callable[[Account, Server], None]:
    return lambda account, server: server.provider.fail_next("create", fault)


def was_created_meanwhile(account: Account, server: Server) -> None:
    """An earlier call went unanswered, and a look-up did not find the account, but it exists by now."""
    unanswered(account)
    create(account, server)
    list_was_read()
    Attempt.objects.create(account=account, kind=Kind.LOOK_UP, username=account.username, outcome=Outcome.ABSENT)


def was_left_behind(account: Account, server: Server) -> None:
    """A worker died during a call, and its lease is over, but the account was created."""
    account.move(State.SENDING, due_in=timedelta(days=-1), claim=uuid.uuid4())
    Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username)
    create(account, server)


def is_on_the_second_page(account: Account, server: Server) -> None:
    add_older_accounts(server, PAGE)
    create(account, server)
    was_unanswered(account)


def is_on_neither_page(account: Account, server: Server) -> None:
    add_older_accounts(server, PAGE + 1)
    was_unanswered(account)


def has_somebody_elses_name(account: Account, server: Server) -> None:
    """The list showed the username, on its second page, before a call for it went unanswered."""
    add_older_accounts(server, PAGE)
    elder = server.provider.add_account(account.username, ELSE)
    ListEntry.objects.create(
        account_id=elder.id, username=elder.username, username_key=elder.username, last_pass=list_was_read()
    )
    pass_time()
    was_unanswered(account)


def add_older_accounts(server: Server, number: int) -> None:
    for each in range(number):
        server.provider.add_account(f"elder-{each}", ELSE)


def create(account: Account, server: Server) -> None:
    with partner_of(server.url) as partner:
        partner.create(account.username, organization_name=account.organization_name)


def was_unanswered(account: Account) -> None:
    unanswered(account)
    Account.objects.filter(pk=account.pk).update(state=State.UNCONFIRMED)


def unanswered(account: Account) -> None:
    Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, outcome=Outcome.UNKNOWN)


def list_was_read() -> ListPass:
    complete = ListPass.Outcome.COMPLETE
    return ListPass.objects.create(source=passes.source(), outcome=complete, pages=1, due_at=None, ended_at=Now())


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
    "refused for what was entered": Scenario(entered={"email": "anna.example.com"}, ends=State.REJECTED),
    "found on the second page": Scenario(is_on_the_second_page),
    "on neither page, and sent again": Scenario(is_on_neither_page),
    "on the second page with somebody else": Scenario(has_somebody_elses_name, ends=State.REJECTED),
}


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("api", APIS, indirect=True)
@pytest.mark.parametrize("name", SCENARIOS)
def test_another_worker_finishes_what_a_killed_one_left(name: str, api: str, sandbox: Server, say: Say) -> None:
    visited = []
    scenario = SCENARIOS[name]
    for dies_at in itertools.count(1):
        account = submitted(scenario, sandbox)
        status, boundaries = Worker("--once", dies_at=dies_at, late=scenario.late).end()
        where = f"killed {boundaries[-1]}, number {dies_at}"
        has_evidence(account, sandbox.provider, where)
        carry_on(account, until=scenario.ends)
        is_settled(account, scenario.ends, sandbox.provider, where)
        if status != KILLED:
            break
        visited.append(boundaries[-1])
    say(f"{connection.vendor}, {api}: {len(visited)} boundaries visited, {name}")
    assert visited == boundaries
    assert len(visited) > FEWEST


def submitted(scenario: Scenario, sandbox: Server) -> Account:
    """Return a queued account in an otherwise empty database, with a new provider."""
    for model in (Account, Gateway, ListEntry, ListPass):
        model.objects.all().delete()
    Gateway.objects.create(pk=1, list_names=Gateway.ListNames.USERNAME)
    sandbox.provider = provider()
    account = account_in(State.QUEUED, **scenario.entered)
    scenario.before(account, sandbox)
    return account


def carry_on(account: Account, until: str) -> None:
    """Let other workers finish the work, and time pass meanwhile."""
    for _ in range(5):
        pass_time(timedelta(days=1))
        assert Worker("--once").end()[0] == 0
        account.refresh_from_db()
        if account.state == until:
            break


def has_evidence(account: Account, provider: Provider, where: str) -> None:
    """Check, right after the kill, that every call has evidence, and that the state reflects a call in flight."""
    account.refresh_from_db()
    last = account.attempts.filter(kind=Kind.CREATE).last()
    under_way = last is not None and last.outcome == "" and last.ended_at is None
    assert account.state != State.SENDING or under_way, where
    has_evidence_of_every_call(account, provider, where)


def is_settled(account: Account, state: str, provider: Provider, where: str) -> None:
    account.refresh_from_db()
    assert account.state == state, where
    there = {name: each.id for name, each in provider.accounts.items() if each.properties["organization_name"] != ELSE}
    if state == State.CREATED:
        assert there == {account.username: account.account_id}, where
        assert not account.password, where
    else:
        assert not there, where
        assert account.password.open() == SIGN_UP["password"], where
    has_evidence_of_every_call(account, provider, where)
    assert "POST POST" not in " ".join(call.method for call in provider.calls), where


def has_evidence_of_every_call(account: Account, provider: Provider, where: str) -> None:
    """Check that a kill loses at most one call's answer: that page of the list is read again, and no other."""
    calls = [call.method for call in provider.calls]
    assert calls.count("POST") <= account.attempts.filter(kind=Kind.CREATE).count(), where
    pages = ListPass.objects.aggregate(read=Sum("pages", default=0))["read"]
    assert calls.count("GET") <= pages + 1, where
