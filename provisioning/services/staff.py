"""Staff's actions on accounts. Functions that change an account raise IllegalMove or MovedMeanwhile."""

from __future__ import annotations

import logging

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from provisioning.models import Account, Attempt, IllegalMove, ListEntry
from provisioning.services.customers import refused
from provisioning.services.settlement import CORRECTION_TIME, IMMEDIATELY

log = logging.getLogger(__name__)

State = Account.State
NOT_FOUND = frozenset({Attempt.Outcome.ABSENT, Attempt.Outcome.UNKNOWN, Attempt.Outcome.DIFFERS})


def approve(account: Account) -> None:
    """Send a held account."""
    account.require_state(State.HELD)
    account.move(State.QUEUED, due_in=IMMEDIATELY)


def decline(account: Account, reason: str, note: str = "") -> None:
    """Close a held account and wipe its password. The customer reads the reason, and the note if there is one."""
    account.require_state(State.HELD)
    account.move(State.CLOSED, decline_reason=Account.DeclineReason(reason), decline_note=note)


def close(account: Account) -> None:
    """Close a waiting account and wipe its password. An unconfirmed one may exist at Constant Contact."""
    if account.state == State.HELD:
        raise IllegalMove("A held account is declined, not closed.")
    account.move(State.CLOSED)


def may_exist(account: Account) -> bool:
    """Whether a call for this account went unanswered, so that closing it here may leave one at Constant Contact."""
    return account.state == State.UNCONFIRMED or (account.state != State.CREATED and account.unanswered().exists())


def retry(account: Account) -> None:
    """Send an account now: one that is queued, or one that `may_retry`."""
    if account.state == State.QUEUED:
        account.reschedule(due_in=IMMEDIATELY)
    elif may_retry(account):
        account.move(State.QUEUED, due_in=IMMEDIATELY)
    else:
        raise IllegalMove("Sent again unchanged, this account would be refused again, or might be created twice.")


def may_retry(account: Account) -> bool:
    """Whether an account can be sent again unchanged.

    A rejected account can't if Constant Contact said what it refused, because it would refuse that again. An
    unconfirmed account can once it was looked up, and not found, since its last call. That need not prove its absence:
    Constant Contact creates no second account with the same username.
    """
    if account.state == State.UNCONFIRMED:
        last = account.attempts.last()
        return last is not None and last.kind == Attempt.Kind.LOOK_UP and last.outcome in NOT_FOUND
    return account.state == State.QUEUED or (account.state == State.REJECTED and not refused(account))


def look_up(account: Account) -> None:
    """Look for an unconfirmed account in the partner's list as soon as possible."""
    account.require_state(State.UNCONFIRMED)
    account.reschedule(due_in=IMMEDIATELY)


def assign(account: Account, assignee: User | None) -> None:
    """Make a staff member responsible for an account, or nobody."""
    Account.objects.filter(pk=account.pk).update(assignee=assignee)
    log.info("account assigned reference=%s to=%s", account.reference, assignee and assignee.pk)


def attach(account: Account, entry: ListEntry) -> None:
    """Decide that a listed account is the one that the unconfirmed account's call created."""
    account.require_state(State.UNCONFIRMED)
    try:
        with transaction.atomic():
            account.move(State.CREATED, account_id=entry.account_id, settled_by=Account.SettledBy.STAFF)
    except IntegrityError:
        raise IllegalMove(f"Account ID {entry.account_id} belongs to another sign-up.") from None


def reject_username(account: Account) -> None:
    """Decide that someone else has the unconfirmed account's username, so that the customer chooses another one."""
    account.require_state(State.UNCONFIRMED)
    with transaction.atomic():
        Attempt.objects.create(
            account=account,
            kind=Attempt.Kind.LOOK_UP,
            username=account.username,
            outcome=Attempt.Outcome.OTHERS,
            ended_at=Now(),
            error_message="Decided by staff.",
            refused={"username": ""},
        )
        account.move(State.REJECTED, due_in=CORRECTION_TIME)
