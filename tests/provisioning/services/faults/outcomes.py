"""What becomes of an account after a fault."""

from __future__ import annotations

from datetime import timedelta

from provisioning import gateway
from provisioning.models import Account, Attempt
from provisioning.sandbox import Server
from tests.provisioning.sandbox.partner import partner_of
from tests.provisioning.work import State, again, pass_time

Outcome = Attempt.Outcome


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


def take(name: str, sandbox: Server) -> None:
    """Give someone else the username: a partner's list does not show other partners' accounts."""
    sandbox.provider.delay = 1000
    sandbox.provider.fail_next("create", "unlisted")
    with partner_of(sandbox.url) as somebody:
        somebody.create(name)
    sandbox.provider.calls.clear()
