"""What an answer of Constant Contact leads to, and how long an account waits then."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from provisioning import gateway, rules
from provisioning.constant_contact import Answer, Meaning, Problem
from provisioning.models import Account, Attempt, MovedMeanwhile
from provisioning.sealed import Sealed

log = logging.getLogger(__name__)

NOW = timedelta()
CORRECTION_TIME = timedelta(days=7)
"""How long a rejected account waits for a correction before it is closed."""
LONGEST_GRACE = timedelta(hours=1)
LONGEST_BACK_OFF = timedelta(minutes=5)
MOST_UNANSWERED = 5
"""Unanswered calls for one account after which it is not sent again by itself, and staff are asked."""
CARRIED_OUT_LATER = 503
"""The HTTP status that leaves open whether the request is stored and carried out later, as the contract of v3 says."""
LOOKS_FOR_LATER = 2
"""How often an account is looked for after such an answer, before it is sent again."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

UNKNOWN_PROPERTY = "json.field.invalid"
"""The vendor's error key for a property that the account has not."""
CUSTOMERS = frozenset({*rules.CUSTOMER_PROPERTIES, "idp_provider_id"})
"""What is refused to one customer, and says nothing about the others."""

OUTCOMES = {
    Meaning.CREATED: Outcome.CREATED,
    Meaning.REFUSED: Outcome.REFUSED,
    Meaning.TAKEN: Outcome.TAKEN,
    Meaning.UNSENT: Outcome.NOT_DONE,
    Meaning.NOTHING_CREATED: Outcome.NOT_DONE,
    Meaning.OVER_RATE: Outcome.NOT_DONE,
    Meaning.OVER_QUOTA: Outcome.NOT_DONE,
    Meaning.STOP: Outcome.NOT_DONE,
    Meaning.UNKNOWN: Outcome.UNKNOWN,
}


def settle(account: Account, attempt: Attempt, answer: Answer) -> None:
    """What the answer to the call that creates an account leads to."""
    if answer.meaning == Meaning.REFUSED and _is_not_the_customers(answer):
        answer = replace(answer, meaning=Meaning.STOP)
    with transaction.atomic():
        attempt.complete(outcome=OUTCOMES[answer.meaning], **_evidence(account, answer))
        try:
            match answer.meaning:
                case Meaning.CREATED:
                    token = Sealed.of(answer.oauth2_token)
                    account.move(State.CREATED, account_id=answer.account_id, oauth2_token=token)
                case Meaning.TAKEN if _unanswered(account):
                    account.move(State.UNCONFIRMED, due_in=grace(account))
                case Meaning.REFUSED | Meaning.TAKEN:
                    account.move(State.REJECTED, due_in=CORRECTION_TIME)
                case Meaning.UNSENT | Meaning.NOTHING_CREATED:
                    account.move(State.QUEUED, due_in=_back_off(account))
                case Meaning.OVER_RATE | Meaning.OVER_QUOTA | Meaning.STOP:
                    account.move(State.QUEUED, due_in=NOW)
                case _:
                    account.move(State.UNCONFIRMED, due_in=grace(account))
        except MovedMeanwhile:
            log.warning("late answer reference=%s meaning=%s", account.reference, answer.meaning)
        gateway.heed(answer)


def settle_look_up(account: Account, attempt: Attempt, answer: Answer) -> None:
    """What a pass over the partner's list leads to for one account."""
    username = account.username.lower()
    account_id = next((each.account_id for each in answer.entries if each.username.lower() == username), "")
    with transaction.atomic():
        try:
            if account_id:
                attempt.complete(outcome=Outcome.FOUND)
                account.move(State.CREATED, account_id=account_id)
            elif answer.meaning != Meaning.LISTED:
                attempt.complete(outcome=Outcome.UNKNOWN, **_evidence(account, answer))
                account.reschedule(due_in=grace(account))
            else:
                attempt.complete(outcome=Outcome.ABSENT)
                _send_again(account)
        except MovedMeanwhile:
            log.warning("late look-up reference=%s", account.reference)


def _send_again(account: Account) -> None:
    """An account is absent: the name is somebody else's, or it was not created; not yet, where that is in doubt."""
    last = account.attempts.filter(kind=Kind.CREATE).last()
    if last and last.outcome == Outcome.TAKEN:
        account.move(State.REJECTED, due_in=CORRECTION_TIME)
    elif last and last.status == CARRIED_OUT_LATER and _absences_since(last) < LOOKS_FOR_LATER:
        account.reschedule(due_in=grace(account))
    elif _unanswered(account) >= MOST_UNANSWERED:
        account.reschedule(due_in=None)
        log.error("account given to staff reference=%s", account.reference)
    else:
        account.move(State.QUEUED, due_in=NOW)


def _absences_since(call: Attempt) -> int:
    looks = call.account.attempts.filter(kind=Kind.LOOK_UP, outcome=Outcome.ABSENT)
    return looks.filter(pk__gt=call.pk).count()


def _evidence(account: Account, answer: Answer) -> dict[str, Any]:
    asked = CUSTOMERS if rules.states(account.country_code) else CUSTOMERS - {"state_code"}
    first = answer.problems[0] if answer.problems else Problem("", "")
    refused = {each.property: each.error_message for each in answer.problems if each.property in asked}
    if answer.meaning == Meaning.TAKEN:
        refused = {"username": first.error_message}
    return {
        "status": answer.status,
        "duration": answer.duration,
        "error_key": first.error_key[:255],
        "error_message": first.error_message,
        "refused": refused,
        "answer": answer.body,
    }


def _is_not_the_customers(refusal: Answer) -> bool:
    """Whether it is for what the customer never entered: the partner's settings, or our own mistake.

    Where nothing says so it is not: a refusal that comes with one account only must not stop all others.
    """
    return any(
        problem.property in rules.RULES.keys() - CUSTOMERS
        or (problem.error_key == UNKNOWN_PROPERTY and problem.property not in CUSTOMERS)
        for problem in refusal.problems
    )


def _unanswered(account: Account) -> int:
    """How many calls to create this account under its present name may have done so, for all that was learned in time.

    A call that created it, but whose answer came after its lease was over, is among them.
    """
    doubtful = ["", Outcome.UNKNOWN, Outcome.CREATED]
    return account.attempts.filter(kind=Kind.CREATE, username=account.username, outcome__in=doubtful).count()


def grace(account: Account) -> timedelta:
    """How long to wait before the next look: longer with each one that has been made."""
    looks = account.attempts.filter(kind=Kind.LOOK_UP).count()
    return min(LONGEST_GRACE, timedelta(seconds=settings.PROVISION_RECHECK) * 2.0 ** min(looks, 30))


def _back_off(account: Account) -> timedelta:
    """How long to wait before an account that could not be sent is tried again: longer each time, and never alike."""
    tries = account.attempts.filter(kind=Kind.CREATE, outcome=Outcome.NOT_DONE).count()
    longest = min(LONGEST_BACK_OFF, timedelta(seconds=2.0 ** min(tries, 30)))
    return longest * random.uniform(0.5, 1)  # noqa: S311
