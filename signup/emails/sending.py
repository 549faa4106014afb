"""Sending emails that are due, on a thread of the worker."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from provisioning.backoff import exponential
from provisioning.models import Account
from signup import visits
from signup.emails.content import compose
from signup.emails.limits import LIMIT_REACHED, count_or_wait, keys
from signup.emails.models import EmailEvent, Mail, SentMail
from signup.emails.planning import event_of, schedule
from signup.emails.server import NotTaken, describe_error, hand_over
from signup.visits import Visit

log = logging.getLogger(__name__)

LATE = timedelta(minutes=5)
"""How late an email may be before staff are told."""

REMINDER_LEAD = timedelta(days=2)
"""How long before an uncorrected sign-up is closed its customer gets the one reminder."""
MAX_TRIES = 30
MAX_BACK_OFF = timedelta(hours=1)
LEASE = timedelta(minutes=5)
"""A claimed email that was not begun to be sent by then is due again."""
INTERRUPTED = "The worker ended while it sent this."
"""The problem of an email while it is handed over: if the worker dies then, nobody knows whether it was sent."""
_sending = threading.Lock()
_NEVER = threading.Event()


def failing() -> QuerySet[Mail]:
    """Return the emails that the mail server has not taken yet, and that will be tried again."""
    return Mail.objects.filter(due_at__isnull=False, tries__gt=0).exclude(problem__in=("", LIMIT_REACHED))


def untried() -> QuerySet[Mail]:
    """Return the emails that are late because no worker tries them: none runs, or they have no mail server."""
    return Mail.objects.filter(due_at__lte=Now() - LATE)


def send_now(account: Account) -> str:
    """Send the email about the account's state now. Return the problem; empty if the mail server took the email.

    This is for staff, so the mailbox's limits don't apply.
    """
    schedule(Mail.objects.filter(account=account), event_of(account), None)
    Mail.objects.filter(account=account).update(tries=1)  # Claimed.
    message = Mail.objects.select_related("account").get(account=account)
    visits.add(visit := uuid4(), keys(message))
    _send(message, visit)
    return Mail.objects.get(account=account).problem


def send_on_a_thread(*, ending: threading.Event = _NEVER, **kwargs: Any) -> None:
    """Send due emails, unless another thread is already doing so. Runs as a worker's chore."""
    if settings.EMAIL_URL and not _sending.locked() and _due():
        threading.Thread(target=_send_and_disconnect, args=(ending,), name="emails").start()


def send_due(ending: threading.Event = _NEVER) -> None:
    """Send emails until none is due, or this process is to end."""
    while not ending.is_set() and (message := _claim()):
        if message.account.erased_at:
            message.delete()
        elif wait := count_or_wait(message, visit := uuid4()):
            _note(message, due_at=Now() + wait, tries=message.tries - 1, problem=LIMIT_REACHED)
        else:
            _send(message, visit)


def _due() -> Mail | None:
    return Mail.objects.filter(due_at__lte=Now()).select_related("account").order_by("due_at").first()


def _claim() -> Mail | None:
    while due := _due():
        as_read = Mail.objects.filter(pk=due.pk, event=due.event, tries=due.tries, due_at__lte=Now())
        if as_read.update(due_at=Now() + LEASE, tries=F("tries") + 1):
            due.tries += 1
            return due
    return None


def _send_and_disconnect(ending: threading.Event) -> None:
    with _sending:
        try:
            send_due(ending)
        except Exception:
            log.exception("sending emails failed; due emails stay scheduled")
        finally:
            connection.close()


def _send(message: Mail, visit: UUID) -> None:
    """Send a claimed email and record the outcome, unless the account's state has changed meanwhile.

    The email was counted as `visit`, which is deleted if the mail server did not take it.
    """
    if not _as_claimed(message).update(due_at=None, problem=INTERRUPTED):
        return
    try:
        hand_over(partial(compose, message))
    except NotTaken as error:
        _try_again(message, visit, str(error))
    except Exception as error:
        _finish(message, problem=describe_error(error))
    else:
        _finish(message, sent_at=Now(), problem="")


def _try_again(message: Mail, visit: UUID, problem: str) -> None:
    Visit.objects.filter(submission=visit, key__in=keys(message)).delete()
    back_off = exponential(timedelta(minutes=1), MAX_BACK_OFF, message.tries - 1)
    if message.tries < MAX_TRIES:
        _note(message, problem=problem, due_at=Now() + back_off)
    else:
        _finish(message, problem=problem)


def _finish(message: Mail, *, problem: str, **outcome: Any) -> None:
    """Record that an email was sent or will not be retried. After a request for a correction, schedule the reminder."""
    SentMail.objects.create(account=message.account, event=message.event, problem=problem)
    closes_at = message.account.due_at
    if message.event == EmailEvent.REJECTED and closes_at and closes_at - REMINDER_LEAD > timezone.now():
        outcome |= {"event": EmailEvent.REMINDER, "due_at": closes_at - REMINDER_LEAD, "tries": 0}
    _note(message, problem=problem, **outcome)


def _note(message: Mail, **outcome: Any) -> None:
    _as_claimed(message).update(**outcome)
    log.info("email tried reference=%s problem=%r", message.account.reference, outcome["problem"])


def _as_claimed(message: Mail) -> QuerySet[Mail]:
    """Return the email unless its account's state has changed, or its lease has ended, since it was claimed."""
    return Mail.objects.filter(pk=message.pk, event=message.event, tries=message.tries)
