"""The story of an account in plain words: every call, every answer and everything staff did, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.utils.formats import date_format
from django.utils.timezone import localtime

from provisioning.models import Account, Attempt

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome


@dataclass(frozen=True)
class Event:
    """`tone` colours it: good, bad, unsure or none; `said` is Constant Contact's own words, `raw` its whole answer."""

    at: datetime
    title: str
    tone: str = ""
    said: list[str] = field(default_factory=list)
    raw: str = ""
    facts: str = ""


CALLS: dict[tuple[str, str], tuple[str, str]] = {
    (Kind.CREATE, Outcome.CREATED): ("Constant Contact created the account.", "good"),
    (Kind.CREATE, Outcome.REFUSED): ("Constant Contact refused what was entered.", "bad"),
    (Kind.CREATE, Outcome.TAKEN): ("Constant Contact says that the user name is in use.", "bad"),
    (Kind.CREATE, Outcome.NOT_DONE): (
        "It could not be sent, through no fault of the customer. Nothing was created.",
        "",
    ),
    (Kind.CREATE, Outcome.UNUSABLE): (
        "It was sent, but the answer was not one that an account creation gives. Nothing was created.",
        "bad",
    ),
    (Kind.CREATE, Outcome.UNKNOWN): (
        "It was sent, but no answer came that can be relied on: the account may exist.",
        "unsure",
    ),
    (Kind.LOOK_UP, Outcome.FOUND): (
        "It was found among your accounts at Constant Contact. Their list tells no access token.",
        "good",
    ),
    (Kind.LOOK_UP, Outcome.ABSENT): ("It was looked for, and is not among your accounts.", ""),
    (Kind.LOOK_UP, Outcome.UNKNOWN): ("It was looked for, but the list proves nothing.", "unsure"),
    (Kind.LOOK_UP, Outcome.OTHERS): (
        "The username is somebody else's. Nothing was created; the customer can choose another one.",
        "bad",
    ),
    (Kind.LOOK_UP, Outcome.DIFFERS): (
        "An account is listed that may be this one, or somebody else's. You have to decide.",
        "unsure",
    ),
}


def timeline(account: Account) -> list[Event]:
    """What happened, oldest first."""
    events = [Event(account.submitted_at, "The customer sent the form.")]
    events += [_call(account, attempt) for attempt in account.attempts.all()]
    entries = LogEntry.objects.filter(
        content_type=get_content_type_for_model(Account), object_id=str(account.pk)
    ).select_related("user")
    for entry in entries:
        who = entry.user.get_full_name() or entry.user.get_username()
        events.append(Event(entry.action_time, f"{entry.get_change_message()} by {who}."))
    if account.state == State.CLOSED:
        closed = "It was given up: the password was wiped, and the user name is free again."
        events.append(Event(account.state_changed_at, closed))
    if account.erased_at:
        events.append(Event(account.erased_at, "The personal data was erased."))
    return sorted(events, key=lambda event: event.at)


def _call(account: Account, attempt: Attempt) -> Event:
    if not attempt.outcome:
        under_way = account.state == State.SENDING or attempt.kind == Kind.LOOK_UP
        title = "It is with Constant Contact now." if under_way else "It was sent; the worker died waiting."
        return Event(attempt.started_at, title, "" if under_way else "unsure")
    words, tone = CALLS[Kind(attempt.kind), Outcome(attempt.outcome)]
    said = [f"{Account.label(name)}: {reason}" for name, reason in attempt.refused.items()]
    if not said and attempt.error_message:
        said = [attempt.error_message]
    facts = [
        f"HTTP {attempt.status}" if attempt.status else "",
        f"{attempt.duration.total_seconds():.1f} s" if attempt.duration is not None else "",
        attempt.error_key,
        "sent with " + ", ".join(f"{name} {_said(value)}" for name, value in attempt.sent.items())
        if attempt.sent
        else "",
    ]
    return Event(
        attempt.ended_at or attempt.started_at,
        str(words),
        tone,
        said,
        attempt.answer,
        " · ".join(fact for fact in facts if fact),
    )


def _said(value: object) -> str:
    return "true" if value is True else str(value)


def outlook(account: Account) -> str:
    """What happens next, and who has to do it."""
    due = date_format(localtime(account.due_at), "DATETIME_FORMAT") if account.due_at else ""
    match account.state:
        case State.HELD:
            return "It came in an unusual burst of sign-ups, and waits for you to approve or decline it."
        case State.QUEUED:
            return "Waits to be sent." if due else "Can't be sent, and nothing more is tried: it waits for you."
        case State.SENDING:
            return "Is being sent right now."
        case State.CREATED:
            return "Ready: the customer can log in."
        case State.REJECTED:
            return f"Waits for a correction, by the customer or by you. On {due} it is given up without one."
        case State.UNCONFIRMED if due:
            return f"Nobody knows yet whether it exists. On {due} your accounts are searched for it."
        case State.UNCONFIRMED:
            return "Nobody knows whether it exists, and nothing more happens by itself: it waits for you."
    return "Given up for good."
