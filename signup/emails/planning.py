"""When an email about an account is due: the transaction of a move schedules it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.http import HttpRequest

from provisioning import rules
from provisioning.models import Account
from signup import abuse, visitors
from signup.emails.links import origin
from signup.emails.models import EmailEvent, Mail

State = Account.State

DELAYS = {State.CREATED: timedelta(), State.REJECTED: timedelta(minutes=2), State.CLOSED: timedelta()}
"""State that customers get an email about → how long after the change. A customer who is still on the page can make the
correction before the email about it is due.

Customers of closed accounts get one only if they were declined."""


def enable(account: Account, request: HttpRequest, host: str = "", area: str = "") -> None:
    """Enable emails about a new account, if there is a mail server. Call it in the transaction of the sign-up.

    Their links lead to `host`, or else to the host of the request. `area` is the network area that the visitor signed
    up from; emails about sign-ups from one area are limited.
    """
    if settings.EMAIL_URL:
        from_here = abuse.key("mail", area) if area not in ("", visitors.UNKNOWN) else ""
        to = f"{request.scheme}://{host}/" if host else origin(request)
        Mail.objects.create(account=account, origin=to, area=from_here)


def plan(account: Account, to: str, **kwargs: Any) -> None:
    """Schedule the email about a change of state. It replaces an earlier one that was not sent yet."""
    if to in DELAYS or account.state in DELAYS:
        account = Account.objects.get(pk=account.pk)
        due_at = Now() + DELAYS[State(to)] if event_of(account) else None
        schedule(Mail.objects.filter(account=account), event_of(account), due_at)


def remind(username: str, email: str) -> None:
    """Send the last email again to the owner of this username, if the address entered is theirs.

    The page says the same either way, so it doesn't reveal whether the address matches.
    """
    account = Account.objects.not_closed().filter(username__iexact=username, state__in=DELAYS).first()
    if account and rules.mailbox(account.email) == rules.mailbox(email):
        nothing_due = Q(due_at=None) | Q(event=EmailEvent.REMINDER)
        schedule(Mail.objects.filter(nothing_due, account=account), account.state, Now())


def forget_area(account: Account, **kwargs: Any) -> None:
    """Forget where the sign-up came from, in the transaction of an erasure."""
    Mail.objects.filter(account=account).update(area="")


def event_of(account: Account) -> str:
    """Return the event that the account's customer can be told of now; empty if there is none."""
    told = account.state in DELAYS and (account.state != State.CLOSED or account.decline_reason)
    return account.state if told and not account.erased_at else ""


def schedule(planned: QuerySet[Mail], event: str, due_at: CombinedExpression | Now | None) -> None:
    """Plan an email in place of an earlier one; without a `due_at`, plan none."""
    planned.update(event=event, due_at=due_at, tries=0, sent_at=None, problem="")
