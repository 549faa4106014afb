"""The accounts that belong to a browser: those it sent, or opened from an email. Nobody else sees their pages.

Only those it sent tell whose forms it sends later: anybody can be led to open the link in somebody else's email.

Their references are in a signed cookie, so a customer costs no session in the database, and no query.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from provisioning.models import Account, AccountQuerySet

SALT = "signup.own_accounts"
MAX_ACCOUNTS = 50
"""The newest that are kept. Browsers keep cookies of up to 4,096 characters."""
OPENED = "opened-"
"""Marks the references of accounts that the browser opened from an email, and did not send."""
_BEFORE = "accounts"
"""The session key that an earlier release kept them under."""


def add(request: HttpRequest, account: Account, response: HttpResponse, *, is_opened: bool = False) -> None:
    """Make the account this browser's own. `is_opened` means that it may be another customer who sent it."""
    reference, marked = str(account.reference), _marked(request)
    mark = OPENED if is_opened and reference not in marked else ""
    own = [*(each for each in marked if each.removeprefix(OPENED) != reference), mark + reference]
    response.set_signed_cookie(
        settings.OWN_ACCOUNTS_COOKIE_NAME,
        ".".join(own[-MAX_ACCOUNTS:]),
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
    return bool(_marked(request))


def find(request: HttpRequest, reference: UUID, only: tuple[str, ...] = ()) -> Account | None:
    """Return the account if it is this browser's own. With `only`, just these columns are read."""
    if str(reference) not in {each.removeprefix(OPENED) for each in _marked(request)}:
        return None
    accounts = Account.objects.filter(reference=reference)
    return (accounts.only(*only) if only else accounts).first()


def sent_and_not_closed(request: HttpRequest) -> AccountQuerySet:
    """Return the accounts that this browser sent and that are not closed."""
    sent = [each for each in _marked(request) if not each.startswith(OPENED)]
    return Account.objects.not_closed().filter(reference__in=sent)


def _marked(request: HttpRequest) -> list[str]:
    name, age = settings.OWN_ACCOUNTS_COOKIE_NAME, settings.SESSION_COOKIE_AGE
    own = request.get_signed_cookie(name, default="", salt=SALT, max_age=age)
    references: list[str] = own.split(".") if own else request.session.get(_BEFORE, [])
    return references
