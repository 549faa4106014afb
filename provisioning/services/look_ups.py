"""Look-ups: moving unconfirmed accounts by what is, or isn't, in the partner's list of accounts."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from provisioning import gateway
from provisioning.constant_contact import Answer, Meaning
from provisioning.mirror import matching, passes
from provisioning.mirror.matching import Finding, Verdict
from provisioning.models import Account, Attempt, ListEntry, ListPass, MovedMeanwhile
from provisioning.services import settlement
from provisioning.services.settlement import CORRECTION_TIME, IMMEDIATELY, grace, log_needs_staff

log = logging.getLogger(__name__)

CARRIED_OUT_LATER = 503
"""With this HTTP status, the request may be stored and carried out later, as v3's contract says."""
LOOK_UPS_AFTER_503 = 2
"""How many times to look for an account after such an answer before sending it again."""
LOOK_UP_TIME = timedelta(hours=1)
"""How long to look for an account whose absence from the list proves nothing before asking staff."""
BATCH_SIZE = 10
"""How many accounts one round settles: enough to keep up with the calls, and few enough that a worker's chores don't
delay new sign-ups."""

WAIT_FOR_GATEWAY = frozenset({Meaning.RETRY, Meaning.OVER_QUOTA, Meaning.STOP})
"""These do not count as a failure of the page: it is read once the gateway permits."""
NO_SUCH_PAGE = frozenset({Meaning.REFUSED, Meaning.NOTHING_CREATED})
"""For any page but the first, these mean that the list must be read from the start again."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome


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
    elif account.unanswered().count() >= settlement.MAX_UNANSWERED:
        _ask_staff(account)
    else:
        account.move(State.QUEUED, due_in=IMMEDIATELY, claim=uuid.uuid4())


def _look_again(account: Account) -> None:
    account.reschedule(due_in=grace(account), claim=uuid.uuid4())


def _ask_staff(account: Account) -> None:
    account.reschedule(due_in=None, claim=uuid.uuid4())
    log_needs_staff(account)


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
    """Return why a page of the list could not be read, in words for staff."""
    if answer.status:
        return f"HTTP {answer.status}: {answer.errors or 'not a list of accounts'}"
    return answer.errors or "No answer"
