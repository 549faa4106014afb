"""What staff do with an account that goes nowhere by itself. Every verb raises IllegalMove or MovedMeanwhile."""

from __future__ import annotations

from datetime import timedelta

from provisioning.models import Account, Attempt, IllegalMove
from provisioning.services.customers import correct

NOW = timedelta()
State = Account.State


def approve(account: Account) -> None:
    """Send a held account."""
    account.require_state(State.HELD)
    account.move(State.QUEUED, due_in=NOW)


def decline(account: Account) -> None:
    """Give a held account up and wipe its password."""
    account.require_state(State.HELD)
    account.move(State.CLOSED)


def close(account: Account) -> None:
    """Give up an account that waits and wipe its password. One that is unconfirmed may live on at Constant Contact."""
    if account.state == State.HELD:
        raise IllegalMove("A held account is declined, not closed.")
    account.move(State.CLOSED)


def may_exist(account: Account) -> bool:
    """Whether a call for this account went unanswered, so that closing it here may leave one at Constant Contact."""
    doubtful = ["", Attempt.Outcome.UNKNOWN]
    unanswered = account.attempts.filter(kind=Attempt.Kind.CREATE, outcome__in=doubtful)
    return account.state == State.UNCONFIRMED or (account.state != State.CREATED and unanswered.exists())


def retry(account: Account) -> None:
    """Send now: what waits in the queue, what was rejected, or what was last looked for in vain."""
    last = account.attempts.last()
    if account.state == State.QUEUED:
        account.reschedule(due_in=NOW)
    elif account.state == State.UNCONFIRMED and last and last.outcome == Attempt.Outcome.ABSENT:
        account.move(State.QUEUED, due_in=NOW)
    else:
        correct(account, {})


def look_up(account: Account) -> None:
    """Look now for an unconfirmed account among the partner's accounts."""
    account.require_state(State.UNCONFIRMED)
    account.reschedule(due_in=NOW)
