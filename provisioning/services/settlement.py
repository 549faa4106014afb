"""Settlement: moving accounts by Constant Contact's answers, and how long they wait before the next step."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from provisioning import gateway, rules
from provisioning.backoff import exponential
from provisioning.constant_contact import Answer, Meaning, Problem, mask_words
from provisioning.mirror import matching, passes
from provisioning.mirror.matching import Finding, Verdict
from provisioning.models import Account, Attempt, ListEntry, ListPass, MovedMeanwhile
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
CARRIED_OUT_LATER = 503
"""With this HTTP status, the request may be stored and carried out later, as v3's contract says."""
LOOK_UPS_AFTER_503 = 2
"""How many times to look for an account after such an answer before sending it again."""
LOOK_UP_TIME = timedelta(hours=1)
"""How long to look for an account whose absence from the list proves nothing before asking staff."""
BATCH_SIZE = 10
"""How many accounts one round settles: enough to keep up with the calls, and few enough that a worker's chores don't
delay new sign-ups."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

UNKNOWN_PROPERTY = "json.field.invalid"
"""The vendor's error key for a property that it does not know."""
CUSTOMERS = frozenset({*rules.CUSTOMER_PROPERTIES, "idp_provider_id"})
"""Properties specific to one customer: a refusal of one says nothing about other customers."""
PERSONAL = {*rules.SHOWN_PROPERTIES, "idp_provider_id", "partner_account_id"} - {"country_code", "state_code"}
"""Properties whose values stay with the account, and are erased with it."""

WAIT_FOR_GATEWAY = frozenset({Meaning.RETRY, Meaning.OVER_QUOTA, Meaning.STOP})
"""These do not count as a failure of the page: it is read once the gateway permits."""
NO_SUCH_PAGE = frozenset({Meaning.REFUSED, Meaning.NOTHING_CREATED})
"""For any page but the first, these mean that the list must be read from the start again."""

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
            account.move(State.UNCONFIRMED)
            _log_needs_staff(account)
        gateway.apply_answer(_impersonal(account, answer))


def _impersonal(account: Account, answer: Answer) -> Answer:
    """Return the answer without the customer's values: why sending stopped is told to others, and is never erased."""
    if answer.meaning not in {Meaning.STOP, Meaning.NOTHING_CREATED}:
        return answer
    values = [getattr(account, name) for name in PERSONAL]
    return mask_words(answer, [value for value in values if value and isinstance(value, str)])


def _move(account: Account, answer: Answer) -> None:
    match answer.meaning:
        case Meaning.CREATED:
            _created(account, answer)
        case Meaning.TAKEN if account.unanswered().exists():
            account.move(State.UNCONFIRMED, due_in=grace(account))
        case Meaning.REFUSED | Meaning.TAKEN:
            account.move(State.REJECTED, due_in=CORRECTION_TIME)
        case Meaning.NOTHING_CREATED if _count_last(account, {Outcome.UNUSABLE}, MAX_UNANSWERED) == MAX_UNANSWERED:
            account.move(State.QUEUED)
            _log_needs_staff(account)
        case Meaning.UNSENT | Meaning.RETRY | Meaning.NOTHING_CREATED:
            account.move(State.QUEUED, due_in=max(_back_off(account), answer.retry_after or IMMEDIATELY))
        case Meaning.OVER_RATE | Meaning.OVER_QUOTA | Meaning.STOP:
            account.move(State.QUEUED, due_in=IMMEDIATELY)
        case _:
            account.move(State.UNCONFIRMED, due_in=max(grace(account), answer.retry_after or IMMEDIATELY))


def _created(account: Account, answer: Answer) -> None:
    token = Sealed.of(answer.oauth2_token)
    settled_by = Account.SettledBy.ANSWER
    account.move(State.CREATED, account_id=answer.account_id, oauth2_token=token, settled_by=settled_by)


def _deliver_late(account: Account, answer: Answer) -> None:
    """Store a late answer: the account exists, even if another worker has claimed it since.

    Its ID and token are stored, unless the account has another outcome or another username by now. Another call in
    flight for it will get a 409 and change nothing. An account that was found in the list meanwhile only gets its
    token.
    """
    now = Account.objects.select_for_update().get(pk=account.pk)
    if now.state in Account.UNDER_WAY and now.username == account.username and not _is_attached(answer.account_id):
        _created(now, answer)
        log.info("late answer delivered reference=%s", account.reference)
    elif now.account_id == answer.account_id:
        if answer.oauth2_token and now.settled_by == Account.SettledBy.LIST and not now.erased_at:
            now.revise(oauth2_token=Sealed.of(answer.oauth2_token))
    else:
        log.error("account exists, but is %s here reference=%s", now.state, account.reference)


def _is_attached(account_id: str) -> bool:
    return Account.objects.filter(account_id=account_id).exists()


def settle_page(list_pass: ListPass, answer: Answer) -> None:
    """Apply a page of the partner's list to the pass and to the accounts that are on it.

    It may be called again if the database fails halfway.
    """
    gateway.apply_answer(answer)
    try:
        with transaction.atomic():
            _settle_pass(list_pass, answer)
    except passes.PassLost:
        log.warning("late page pass=%s", list_pass.pk)
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
        passes.fail(list_pass, describe_answer(answer))
    else:
        passes.postpone(list_pass, describe_answer(answer), answer.retry_after)


def settle_complete_pass() -> None:
    """Settle the unconfirmed accounts that were waiting for the newest complete pass."""
    if newest := passes.newest_complete():
        waiting = Account.objects.filter(state=State.UNCONFIRMED, due_at__lte=newest.started_at)
        for account in waiting.order_by("due_at", "pk")[:BATCH_SIZE]:
            _settle_look_up(account, newest, matching.find(account))


def _settle_look_up(account: Account, list_pass: ListPass, finding: Finding | None) -> None:
    """Record what the list says about an account, and move it, unless another worker is faster."""
    try:
        with transaction.atomic():
            match finding:
                case Finding(Verdict.OURS, entry):
                    _record_look_up(account, list_pass, Outcome.FOUND, entry)
                    settled_by = Account.SettledBy.LIST
                    account.move(State.CREATED, account_id=entry.account_id, settled_by=settled_by)
                case Finding(Verdict.OTHERS, entry):
                    _record_look_up(account, list_pass, Outcome.OTHERS, entry)
                    account.move(State.REJECTED, due_in=CORRECTION_TIME)
                case Finding(Verdict.DIFFERS, entry):
                    _record_look_up(account, list_pass, Outcome.DIFFERS, entry)
                    _ask_staff(account)
                case _:
                    _settle_absence(account, list_pass)
    except (MovedMeanwhile, IntegrityError):
        log.warning("late look-up reference=%s", account.reference)


def _settle_absence(account: Account, list_pass: ListPass) -> None:
    """Handle an account that is not in the list: send it again, look again, or ask staff."""
    last = account.attempts.filter(kind=Kind.CREATE).last()
    proves = passes.is_calibrated()
    _record_look_up(account, list_pass, Outcome.ABSENT if proves else Outcome.UNKNOWN)
    may_be_late = not proves or (last and last.outcome == Outcome.TAKEN)
    if may_be_late and last and last.started_at <= gateway.now() - LOOK_UP_TIME:
        _ask_staff(account)
    elif may_be_late or (last and last.status == CARRIED_OUT_LATER and _absences_since(last) < LOOK_UPS_AFTER_503):
        _look_again(account)
    elif account.unanswered().count() >= MAX_UNANSWERED:
        _ask_staff(account)
    else:
        account.move(State.QUEUED, due_in=IMMEDIATELY, claim=uuid.uuid4())


def _look_again(account: Account) -> None:
    account.reschedule(due_in=grace(account), claim=uuid.uuid4())


def _ask_staff(account: Account) -> None:
    account.reschedule(due_in=None, claim=uuid.uuid4())
    _log_needs_staff(account)


def _log_needs_staff(account: Account) -> None:
    log.error("account needs staff reference=%s", account.reference)


def _record_look_up(account: Account, list_pass: ListPass, outcome: str, entry: ListEntry | None = None) -> None:
    """Record the evidence of a look-up."""
    listed = f"Listed with the organization {entry.organization_name!r}, ID {entry.account_id}" if entry else ""
    if outcome == Outcome.UNKNOWN:
        listed = "Not listed, but it is not known yet whether the list shows usernames."
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


def describe_answer(answer: Answer) -> str:
    if answer.status:
        return f"HTTP {answer.status}: {answer.errors or 'not a list of accounts'}"
    return answer.errors or "No answer"


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
