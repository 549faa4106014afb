"""Settlement: moving accounts by the answers to the calls that create them, and how long they wait for the next step.

`look_ups` settles what is found in the list.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from provisioning import gateway, rules
from provisioning.backoff import exponential
from provisioning.constant_contact import Answer, Meaning, Problem, mask_words
from provisioning.models import Account, Attempt, MovedMeanwhile
from provisioning.sealed import Sealed

log = logging.getLogger(__name__)

IMMEDIATELY = timedelta()
"""For `due_in`."""
CORRECTION_TIME = timedelta(days=7)
"""How long a rejected account waits for a correction before it is closed."""
MAX_GRACE = timedelta(hours=1)
MAX_BACK_OFF = timedelta(minutes=5)
MAX_TRIES = 10
"""After this many failed calls, `MAX_BACK_OFF` is reached."""
MAX_UNANSWERED = 5
"""After this many unanswered calls for one account, it is no longer sent automatically; staff decide."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

UNKNOWN_PROPERTY = "json.field.invalid"
"""The vendor's error key for a property that it does not know."""
CUSTOMERS = frozenset({*rules.CUSTOMER_PROPERTIES, "idp_provider_id"})
"""Properties specific to one customer: a refusal of one says nothing about other customers."""

OUTCOMES = {
    Meaning.CREATED: Outcome.CREATED,
    Meaning.REFUSED: Outcome.REFUSED,
    Meaning.TAKEN: Outcome.TAKEN,
    Meaning.UNSENT: Outcome.UNSENT,
    Meaning.RETRY: Outcome.NOT_DONE,
    Meaning.NOTHING_CREATED: Outcome.UNUSABLE,
    Meaning.OVER_RATE: Outcome.NOT_DONE,
    Meaning.OVER_QUOTA: Outcome.NOT_DONE,
    Meaning.STOP: Outcome.NOT_DONE,
    Meaning.UNKNOWN: Outcome.UNKNOWN,
}


def settle(account: Account, attempt: Attempt, answer: Answer) -> None:
    """Apply the answer to a call that creates an account."""
    if answer.meaning == Meaning.REFUSED and _is_not_about_customer(account, answer):
        answer = replace(answer, meaning=Meaning.STOP)
    with transaction.atomic():
        attempt.complete(outcome=OUTCOMES[answer.meaning], **_evidence(account, answer))
        if answer.meaning == Meaning.UNKNOWN:
            log.warning("unclear answer reference=%s status=%s", account.reference, answer.status)
        try:
            with transaction.atomic():
                _move(account, answer)
        except MovedMeanwhile:
            log.warning("late answer reference=%s meaning=%s", account.reference, answer.meaning)
            if answer.meaning == Meaning.CREATED:
                _deliver_late(account, answer)
        except IntegrityError:  # Constant Contact returned the ID of another of our accounts.
            with suppress(MovedMeanwhile):
                account.move(State.UNCONFIRMED)
            log_needs_staff(account)
        gateway.apply_answer(_without_personal_values(account, answer))


def _without_personal_values(account: Account, answer: Answer) -> Answer:
    """Return the answer without the customer's values if it may stop the gateway: its reason is never erased."""
    if answer.meaning not in {Meaning.STOP, Meaning.NOTHING_CREATED}:
        return answer
    # A state identifies nobody, and its code may be any two letters of the answer.
    values = [getattr(account, name) for name in rules.PERSONAL_PROPERTIES - {"state_code"}]
    return mask_words(answer, [value for value in values if value and isinstance(value, str)])


def _move(account: Account, answer: Answer) -> None:
    match answer.meaning:
        case Meaning.CREATED:
            _move_to_created(account, answer)
        case Meaning.TAKEN if account.unanswered().exists():
            account.move(State.UNCONFIRMED, due_in=grace(account))
        case Meaning.REFUSED | Meaning.TAKEN:
            account.move(State.REJECTED, due_in=CORRECTION_TIME)
        case Meaning.NOTHING_CREATED if _count_last(account, {Outcome.UNUSABLE}, MAX_UNANSWERED) == MAX_UNANSWERED:
            account.move(State.QUEUED)
            log_needs_staff(account)
        case Meaning.UNSENT | Meaning.RETRY | Meaning.NOTHING_CREATED:
            account.move(State.QUEUED, due_in=max(_back_off(account), answer.retry_after or IMMEDIATELY))
        case Meaning.OVER_RATE | Meaning.OVER_QUOTA | Meaning.STOP:
            account.move(State.QUEUED, due_in=IMMEDIATELY)
        case _:
            account.move(State.UNCONFIRMED, due_in=max(grace(account), answer.retry_after or IMMEDIATELY))


def _move_to_created(account: Account, answer: Answer) -> None:
    token = Sealed.of(answer.oauth2_token)
    settled_by = Account.SettledBy.ANSWER
    account.move(State.CREATED, account_id=answer.account_id, oauth2_token=token, settled_by=settled_by)


def log_needs_staff(account: Account) -> None:
    """Log that an account waits for staff, as an error, so that whoever runs the installation notices."""
    log.error("account needs staff reference=%s", account.reference)


def _deliver_late(account: Account, answer: Answer) -> None:
    """Store a late answer: the account exists, even if another worker has claimed it since.

    Its ID and token are stored, unless the account has another outcome or another username by now. Another call in
    flight for it will get a 409 and change nothing. An account that was found in the list meanwhile only gets its
    token.
    """
    now = Account.objects.select_for_update().get(pk=account.pk)
    if now.account_id == answer.account_id:
        if answer.oauth2_token and now.settled_by == Account.SettledBy.LIST and not now.erased_at:
            now.revise(oauth2_token=Sealed.of(answer.oauth2_token))
        return
    is_same = now.state in Account.UNDER_WAY and now.username == account.username
    if is_same and _try_to_move_to_created(now, answer):
        log.info("late answer delivered reference=%s", account.reference)
    else:
        log.error("account exists, but is %s here reference=%s", now.state, account.reference)


def _try_to_move_to_created(account: Account, answer: Answer) -> bool:
    """Store that the account was created. Return False if its ID is another of our accounts'."""
    try:
        with transaction.atomic():
            _move_to_created(account, answer)
    except IntegrityError:
        return False
    return True


def _evidence(account: Account, answer: Answer) -> dict[str, Any]:
    own = _own(account)
    asked = own if rules.states(account.country_code) else own - {"state_code"}
    first = answer.problems[0] if answer.problems else Problem("", "")
    refused = {each.property: each.error_message for each in answer.problems if each.property in asked}
    keys = {each.property: each.error_key[:255] for each in answer.problems if each.property in asked}
    if answer.meaning == Meaning.TAKEN:
        refused, keys = {"username": first.error_message}, {"username": first.error_key[:255]}
    return {
        "status": answer.status,
        "duration": answer.duration,
        "error_key": first.error_key[:255],
        "error_message": first.error_message,
        "refused": refused,
        "refused_keys": keys,
        "answer": answer.body,
    }


def _own(account: Account) -> frozenset[str]:
    """Return the properties whose refusal says nothing about other accounts."""
    return CUSTOMERS | {"partner_account_id"} if account.partner_account_id else CUSTOMERS


def _is_not_about_customer(account: Account, refusal: Answer) -> bool:
    """Whether something was refused that is not the account's own: the partner's settings, or a bug of ours.

    If in doubt, the answer is no: a refusal of one account must not stop all others.
    """
    own = _own(account)
    return any(
        problem.property in rules.RULES.keys() - own
        or (problem.error_key == UNKNOWN_PROPERTY and problem.property not in own)
        for problem in refusal.problems
    )


def grace(account: Account) -> timedelta:
    """Return how long to wait before the next look-up: longer after each one for this username."""
    looks = account.attempts.filter(kind=Kind.LOOK_UP, username__iexact=account.username).count()
    return exponential(timedelta(seconds=settings.PROVISION_RECHECK), MAX_GRACE, looks)


def _back_off(account: Account) -> timedelta:
    """Return how long to wait before an unsent account is tried again: longer each time, with random jitter."""
    tries = _count_last(account, {Outcome.UNSENT, Outcome.NOT_DONE, Outcome.UNUSABLE}, most=MAX_TRIES)
    return exponential(timedelta(seconds=1), MAX_BACK_OFF, tries) * random.uniform(0.5, 1)  # noqa: S311


def _count_last(account: Account, outcomes: Collection[str], most: int) -> int:
    """Return how many of the newest calls, in a row and at most `most`, had one of these outcomes."""
    calls = account.attempts.filter(kind=Kind.CREATE).order_by("-pk")[:most]
    return sum(1 for _ in takewhile(lambda call: call.outcome in outcomes, calls))
