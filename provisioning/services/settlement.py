"""What an answer of Constant Contact leads to, and how long an account waits then."""

from __future__ import annotations

import logging
import random
import uuid
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from provisioning import gateway, rules
from provisioning.constant_contact import Answer, Meaning, Problem
from provisioning.mirror import matching, passes
from provisioning.mirror.matching import Finding, Verdict
from provisioning.models import Account, Attempt, ListEntry, ListPass, MovedMeanwhile
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
LOOKED_FOR = timedelta(hours=1)
"""How long an account is looked for whose absence proves nothing, before staff are asked."""
AT_ONCE = 50
"""Accounts settled in one go, so that the chores of a worker stay short."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

UNKNOWN_PROPERTY = "json.field.invalid"
"""The vendor's error key for a property that the account has not."""
CUSTOMERS = frozenset({*rules.CUSTOMER_PROPERTIES, "idp_provider_id"})
"""What is refused to one customer, and says nothing about the others."""

UNDER_WAY = frozenset({State.QUEUED, State.SENDING, State.UNCONFIRMED})
WAIT_FOR_GATEWAY = frozenset({Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP})
"""What is no failure of the page: it is read when the gateway lets it."""
NO_SUCH_PAGE = frozenset({Meaning.REFUSED, Meaning.NOTHING_CREATED})
"""What says, of a page after the first, that the list has to be read from its beginning again."""

OUTCOMES = {
    Meaning.CREATED: Outcome.CREATED,
    Meaning.REFUSED: Outcome.REFUSED,
    Meaning.TAKEN: Outcome.TAKEN,
    Meaning.UNSENT: Outcome.NOT_DONE,
    Meaning.NOTHING_CREATED: Outcome.UNUSABLE,
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
        if answer.meaning == Meaning.UNKNOWN:
            log.warning("unclear answer reference=%s status=%s", account.reference, answer.status)
        try:
            with transaction.atomic():
                _move(account, answer)
        except MovedMeanwhile:
            log.warning("late answer reference=%s meaning=%s", account.reference, answer.meaning)
            if answer.meaning == Meaning.CREATED:
                _deliver_late(account, answer)
        except IntegrityError:  # Constant Contact gave the ID of another account of ours.
            account.move(State.UNCONFIRMED)
            _give_to_staff(account)
        gateway.apply_answer(answer)


def _move(account: Account, answer: Answer) -> None:
    match answer.meaning:
        case Meaning.CREATED:
            _created(account, answer)
        case Meaning.TAKEN if account.unanswered().exists():
            account.move(State.UNCONFIRMED, due_in=grace(account))
        case Meaning.REFUSED | Meaning.TAKEN:
            account.move(State.REJECTED, due_in=CORRECTION_TIME)
        case Meaning.NOTHING_CREATED if _unusable(account) >= MOST_UNANSWERED:
            account.move(State.QUEUED)
            _give_to_staff(account)
        case Meaning.UNSENT | Meaning.NOTHING_CREATED:
            account.move(State.QUEUED, due_in=max(_back_off(account), answer.retry_after or NOW))
        case Meaning.OVER_RATE | Meaning.OVER_QUOTA | Meaning.STOP:
            account.move(State.QUEUED, due_in=NOW)
        case _:
            account.move(State.UNCONFIRMED, due_in=max(grace(account), answer.retry_after or NOW))


def _created(account: Account, answer: Answer) -> None:
    token = Sealed.of(answer.oauth2_token)
    settled_by = Account.SettledBy.ANSWER
    account.move(State.CREATED, account_id=answer.account_id, oauth2_token=token, settled_by=settled_by)


def _deliver_late(account: Account, answer: Answer) -> None:
    """The account exists, whoever holds it here by now: its ID and token are kept as long as nothing else is certain.

    Fenced by the attempt: it was for the username that the account still has. A call that is under way for it meets
    with a 409, and changes nothing any more.
    """
    now = Account.objects.select_for_update().get(pk=account.pk)
    if now.state in UNDER_WAY and now.username == account.username and not _is_attached(answer.account_id):
        _created(now, answer)
        log.info("late answer delivered reference=%s", account.reference)
    elif now.account_id != answer.account_id:
        log.error("account exists, but is %s here reference=%s", now.state, account.reference)


def _is_attached(account_id: str) -> bool:
    return Account.objects.filter(account_id=account_id).exists()


def settle_page(list_pass: ListPass, answer: Answer) -> None:
    """What a page of the partner's list leads to: for the pass, and for the accounts that it tells of."""
    gateway.apply_answer(answer)
    try:
        with transaction.atomic():
            _settle_pass(list_pass, answer)
    except passes.PassLost:
        log.warning("late page pass=%s", list_pass.pk)
        return
    for account in matching.waiting_for(list(answer.entries)):
        finding = matching.find(account)
        if finding and finding.verdict != Verdict.DIFFERS:
            _settle_look_up(account, list_pass, finding)
    settle_complete_pass()


def _settle_pass(list_pass: ListPass, answer: Answer) -> None:
    if answer.meaning == Meaning.LISTED:
        passes.store(list_pass, answer.entries, answer.skipped, answer.next_page)
        matching.calibrate(list(answer.entries))
    elif answer.meaning in WAIT_FOR_GATEWAY:
        passes.release(list_pass)
    elif answer.meaning in NO_SUCH_PAGE and list_pass.page:
        passes.fail(list_pass, _why(answer))
    else:
        passes.put_off(list_pass, _why(answer), answer.retry_after)


def settle_complete_pass() -> None:
    """Settle the unconfirmed accounts that the newest complete pass proves to be listed or absent."""
    if newest := passes.newest_complete():
        waiting = Account.objects.filter(state=State.UNCONFIRMED, due_at__lte=newest.started_at)
        for account in waiting.order_by("due_at", "pk")[:AT_ONCE]:
            _settle_look_up(account, newest, matching.find(account))


def _settle_look_up(account: Account, list_pass: ListPass, finding: Finding | None) -> None:
    """Write down what the list tells of an account, and draw the conclusion. A colleague may be faster."""
    try:
        with transaction.atomic():
            match finding:
                case Finding(Verdict.OURS, entry):
                    _note(account, list_pass, Outcome.FOUND, entry)
                    settled_by = Account.SettledBy.LIST
                    account.move(State.CREATED, account_id=entry.account_id, settled_by=settled_by)
                case Finding(Verdict.OTHERS, entry):
                    _note(account, list_pass, Outcome.OTHERS, entry)
                    account.move(State.REJECTED, due_in=CORRECTION_TIME)
                case Finding(Verdict.DIFFERS, entry):
                    _note(account, list_pass, Outcome.DIFFERS, entry)
                    _ask_staff(account)
                case _:
                    _settle_absence(account, list_pass)
    except (MovedMeanwhile, IntegrityError):
        log.warning("late look-up reference=%s", account.reference)


def _settle_absence(account: Account, list_pass: ListPass) -> None:
    """The list doesn't show the account: it is sent again, but where that is in doubt, or can't lead to anything."""
    last = account.attempts.filter(kind=Kind.CREATE).last()
    proves = passes.is_calibrated()
    _note(account, list_pass, Outcome.ABSENT if proves else Outcome.UNKNOWN)
    may_be_late = not proves or (last and last.outcome == Outcome.TAKEN)
    if may_be_late and _has_been_looked_for_long(account):
        _ask_staff(account)
    elif may_be_late or (last and last.status == CARRIED_OUT_LATER and _absences_since(last) < LOOKS_FOR_LATER):
        _look_again(account)
    elif account.unanswered().count() >= MOST_UNANSWERED:
        _ask_staff(account)
    else:
        account.move(State.QUEUED, due_in=NOW, claim=uuid.uuid4())


def _look_again(account: Account) -> None:
    account.reschedule(due_in=grace(account), claim=uuid.uuid4())


def _ask_staff(account: Account) -> None:
    account.reschedule(due_in=None, claim=uuid.uuid4())
    _give_to_staff(account)


def _give_to_staff(account: Account) -> None:
    log.error("account given to staff reference=%s", account.reference)


def _note(account: Account, list_pass: ListPass, outcome: str, entry: ListEntry | None = None) -> None:
    """The evidence of a look-up."""
    listed = f"Listed with the organization {entry.organization_name!r}, ID {entry.account_id}" if entry else ""
    if outcome == Outcome.UNKNOWN:
        listed = "Not listed; but it is not known yet whether the list shows usernames."
    Attempt.objects.create(
        account=account,
        kind=Kind.LOOK_UP,
        username=account.username,
        outcome=outcome,
        started_at=list_pass.started_at,
        ended_at=Now(),
        error_message=listed,
        refused={"username": ""} if outcome == Outcome.OTHERS else {},
    )


def _absences_since(call: Attempt) -> int:
    looks = call.account.attempts.filter(kind=Kind.LOOK_UP, outcome=Outcome.ABSENT)
    return looks.filter(pk__gt=call.pk).count()


def _has_been_looked_for_long(account: Account) -> bool:
    first = account.unanswered().first()
    return first is not None and first.started_at <= gateway.now() - LOOKED_FOR


def _why(answer: Answer) -> str:
    said = "; ".join(f"{problem.error_key} {problem.error_message}".strip() for problem in answer.problems)
    return f"HTTP {answer.status}: {said or 'not a list of accounts'}" if answer.status else said or "No answer"


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


def grace(account: Account) -> timedelta:
    """How long to wait before the next look: longer with each one that has been made under this username."""
    looks = account.attempts.filter(kind=Kind.LOOK_UP, username__iexact=account.username).count()
    return min(LONGEST_GRACE, timedelta(seconds=settings.PROVISION_RECHECK) * 2.0 ** min(looks, 30))


def _unusable(account: Account) -> int:
    """How many calls in a row, up to the newest, were given an answer that no account creation gives."""
    calls = account.attempts.filter(kind=Kind.CREATE).order_by("-pk")[:MOST_UNANSWERED]
    return sum(1 for _ in takewhile(lambda call: call.outcome == Outcome.UNUSABLE, calls))


def _back_off(account: Account) -> timedelta:
    """How long to wait before an account that could not be sent is tried again: longer each time, and never alike."""
    tries = account.attempts.filter(kind=Kind.CREATE, outcome__in=[Outcome.NOT_DONE, Outcome.UNUSABLE]).count()
    longest = min(LONGEST_BACK_OFF, timedelta(seconds=2.0 ** min(tries, 30)))
    return longest * random.uniform(0.5, 1)  # noqa: S311
