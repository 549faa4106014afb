"""The accounts that belong to a browser: those it sent, or opened from an email. Nobody else sees their pages.

Those that it opened belong to it only as long as they have the address of that email: the address may have been wrong.
And only those that it sent tell whose forms it sends later: anybody can be led to open the link in somebody else's
email.

Their references are in a signed cookie, so a customer costs no session in the database, and no query.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from provisioning.models import Account, AccountQuerySet
from signup import emails

SALT = "signup.own_accounts"
MAX_SENT, MAX_OPENED = 50, 20
"""The newest that are kept of each kind. Browsers keep cookies of up to 4,096 characters."""
OPENED = "~"
"""Separates the reference of an account that the browser opened from the tag of the mailbox that it was opened from."""
_BEFORE = "accounts"
"""The session key that an earlier release kept them under."""


def add(request: HttpRequest, account: Account, response: HttpResponse, *, opened_from: str | None = None) -> None:
    """Make the account this browser's own.

    `opened_from` is the email address by which the browser has it, if another customer may have sent it.
    """
    own, reference = _own(request), str(account.reference)
    was_sent = own.pop(reference, None) == ""
    own[reference] = "" if opened_from is None or was_sent else emails.mailbox_tag(opened_from)
    sent = [each for each, mailbox in own.items() if not mailbox]
    opened = [f"{each}{OPENED}{mailbox}" for each, mailbox in own.items() if mailbox]
    response.set_signed_cookie(
        settings.OWN_ACCOUNTS_COOKIE_NAME,
        ".".join([*sent[-MAX_SENT:], *opened[-MAX_OPENED:]]),
        salt=SALT,
        max_age=settings.SESSION_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def forget(request: HttpRequest, response: HttpResponse) -> None:
    """Let this browser open none of its accounts any more: another person uses it now."""
    request.COOKIES.pop(settings.OWN_ACCOUNTS_COOKIE_NAME, None)
    request.session.pop(_BEFORE, None)
    response.delete_cookie(settings.OWN_ACCOUNTS_COOKIE_NAME, samesite="Lax")


def has_any(request: HttpRequest) -> bool:
    """Whether this browser has any. Most browsers that send the form have none, and then no query is needed."""
    return bool(_own(request))


def find(request: HttpRequest, reference: UUID, only: tuple[str, ...] = ()) -> Account | None:
    """Return the account if it is this browser's own. With `only`, few more columns than these are read."""
    mailbox = _own(request).get(str(reference))
    if mailbox is None:
        return None
    accounts = Account.objects.filter(reference=reference)
    account = (accounts.only("email", "erased_at", *only) if only else accounts).first()
    return account if account and (not mailbox or emails.has_mailbox(account, mailbox)) else None


def sent_and_not_closed(request: HttpRequest) -> AccountQuerySet:
    """Return the accounts that this browser sent and that are not closed."""
    sent = [reference for reference, mailbox in _own(request).items() if not mailbox]
    return Account.objects.not_closed().filter(reference__in=sent)


def _own(request: HttpRequest) -> dict[str, str]:
    """Return references, oldest first, each with the tag of the mailbox that it was opened from; empty if it was sent.

    An earlier release didn't tell them apart: those count as sent.
    """
    name, age = settings.OWN_ACCOUNTS_COOKIE_NAME, settings.SESSION_COOKIE_AGE
    kept = request.get_signed_cookie(name, default="", salt=SALT, max_age=age)
    entries: list[str] = kept.split(".") if kept else request.session.get(_BEFORE, [])
    own = (entry.partition(OPENED) for entry in entries)
    return {reference: mailbox for reference, _, mailbox in own}
