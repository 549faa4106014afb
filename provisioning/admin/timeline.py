"""The timeline of an account, in plain words: every call, every answer, and everything staff did, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from provisioning import services
from provisioning.admin_site.words import display_value
from provisioning.audit import MASKED, SIGNED_UP
from provisioning.models import Account, Attempt, AuditEntry
from provisioning.templatetags.times import duration, until

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome


@dataclass(frozen=True)
class TimelineEntry:
    """One entry of the timeline.

    `tone` sets its color: good, bad, unsure, or empty. `said` quotes Constant Contact or staff; `raw` is Constant
    Contact's full answer.
    """

    at: datetime
    title: str
    tone: str = ""
    said: list[str] = field(default_factory=list)
    raw: str = ""
    facts: str = ""
    changes: list[str] = field(default_factory=list)


CALLS: dict[tuple[str, str], tuple[str, str]] = {
    (Kind.CREATE, Outcome.CREATED): ("Constant Contact created the account.", "good"),
    (Kind.CREATE, Outcome.REFUSED): ("Constant Contact refused what the customer entered.", "bad"),
    (Kind.CREATE, Outcome.TAKEN): ("Constant Contact says that the username is in use.", "bad"),
    (Kind.CREATE, Outcome.UNSENT): ("The call was not sent: Constant Contact could not be reached.", "bad"),
    (Kind.CREATE, Outcome.NOT_DONE): (
        "The call failed, and nothing was created. The customer did nothing wrong.",
        "",
    ),
    (Kind.CREATE, Outcome.UNUSABLE): (
        "Constant Contact's answer doesn't fit this call. Nothing was created.",
        "bad",
    ),
    (Kind.CREATE, Outcome.UNKNOWN): (
        "The call got no clear answer, so the account may exist.",
        "unsure",
    ),
    (Kind.LOOK_UP, Outcome.FOUND): (
        "The account was found in your list at Constant Contact. The list has no access tokens.",
        "good",
    ),
    (Kind.LOOK_UP, Outcome.ABSENT): ("The account is not in your list at Constant Contact.", ""),
    (Kind.LOOK_UP, Outcome.UNKNOWN): (
        "The account was looked up, but your list at Constant Contact doesn't settle it.",
        "unsure",
    ),
    (Kind.LOOK_UP, Outcome.OTHERS): (
        "The username belongs to somebody else. Nothing was created; the customer can choose another one.",
        "bad",
    ),
    (Kind.LOOK_UP, Outcome.DIFFERS): (
        "Your list has an account that may be this customer's or somebody else's. Please decide.",
        "unsure",
    ),
}


def timeline(account: Account) -> list[TimelineEntry]:
    """Return what happened, oldest first."""
    entries = [_of_attempt(account, attempt) for attempt in account.attempts.all()]
    recorded = list(account.audit_entries.select_related("user"))
    if not any(each.what == SIGNED_UP for each in recorded):
        entries.insert(0, TimelineEntry(account.submitted_at, "The customer submitted the form."))
    entries += [
        TimelineEntry(
            each.at,
            f"{each}.",
            said=[each.note] if each.note else [],
            facts=each.detail,
            changes=describe_changes(each),
        )
        for each in recorded
    ]
    if account.state == State.CLOSED:
        closed = "It was closed here. The password was wiped, and the username is available again."
        why = [account.get_decline_reason_display(), account.decline_note] if account.decline_reason else []
        entries.append(TimelineEntry(account.state_changed_at, closed, said=[words for words in why if words]))
    if account.erased_at:
        entries.append(TimelineEntry(account.erased_at, "Personal data was erased."))
    return sorted(entries, key=lambda entry: entry.at)


def describe_changes(entry: AuditEntry) -> list[str]:
    """Return what an entry of the audit trail changed: each property with the value before and after."""
    return [f"{Account.label(name)}: {_before_and_after(values)}" for name, values in entry.changes.items()]


def _before_and_after(values: list[object]) -> str:
    return MASKED if MASKED in values else " → ".join(display_value(value) or "(empty)" for value in values)


def _of_attempt(account: Account, attempt: Attempt) -> TimelineEntry:
    if not attempt.outcome:
        under_way = account.state == State.SENDING or attempt.kind == Kind.LOOK_UP
        title = "Waiting for Constant Contact's answer." if under_way else "The worker stopped before an answer came."
        return TimelineEntry(attempt.started_at, title, "" if under_way else "unsure")
    words, tone = CALLS[Kind(attempt.kind), Outcome(attempt.outcome)]
    said = [f"{Account.label(name)}: {reason}" for name, reason in attempt.reasons().items()]
    if not said and attempt.message:
        said = [attempt.message]
    facts = [
        f"HTTP {attempt.status}" if attempt.status else "",
        duration(attempt.duration) if attempt.duration is not None else "",
        attempt.error_key,
        *(f"{Attempt.SENT.get(name, name)}: {display_value(value)}" for name, value in attempt.sent.items()),
    ]
    return TimelineEntry(
        attempt.ended_at or attempt.started_at,
        str(words),
        tone,
        said,
        attempt.answer,
        " · ".join(fact for fact in facts if fact),
    )


def outlook(account: Account) -> str:
    """Return what happens next, and whether anyone has to do something."""
    due = until(account.due_at) if account.due_at else ""
    match account.state:
        case State.HELD:
            return "Unusually many sign-ups looked alike, or came with the same email address. Approve or decline it."
        case State.QUEUED:
            return (
                "Waiting to be sent."
                if due
                else "It couldn't be sent, and no more retries are planned. Retry or close it."
            )
        case State.SENDING:
            return "Being sent right now."
        case State.CREATED:
            return "The account is ready. The customer can log in."
        case State.REJECTED if "password" in services.refused(account):
            return (
                "Constant Contact refused the password. Only the customer can choose another one: send the email again,"
                f" or give them the link. It closes {due} without one."
            )
        case State.REJECTED:
            return f"Waiting for a correction from the customer or you. It closes {due} without one."
        case State.UNCONFIRMED if due:
            return f"It may or may not exist. Your list at Constant Contact is checked for it {due}."
        case State.UNCONFIRMED:
            return "It may or may not exist, and automatic checks couldn't settle it. Please decide."
    return "Nothing more happens here."
