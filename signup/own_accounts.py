"""The accounts that belong to a browser: those it sent, or opened from an email. Nobody else sees their pages.

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
_BEFORE = "accounts"
"""The session key that an earlier release kept them under."""


def add(request: HttpRequest, account: Account, response: HttpResponse) -> None:
    """Make the account this browser's own."""
    reference = str(account.reference)
    own = [*(each for each in _references(request) if each != reference), reference]
    response.set_signed_cookie(
        settings.OWN_ACCOUNTS_COOKIE_NAME,
        ".".join(own[-MAX_ACCOUNTS:]),
        salt=SALT,
        max_age=settings.SESSION_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def has_any(request: HttpRequest) -> bool:
    """Whether this browser has any. Most browsers that send the form have none, and then no query is needed."""
    return bool(_references(request))


def find(request: HttpRequest, reference: UUID, only: tuple[str, ...] = ()) -> Account | None:
    """Return the account if it is this browser's own. With `only`, just these columns are read."""
    if str(reference) not in _references(request):
        return None
    accounts = Account.objects.filter(reference=reference)
    return (accounts.only(*only) if only else accounts).first()


def not_closed(request: HttpRequest) -> AccountQuerySet:
    """Return this browser's accounts that are not closed."""
    return Account.objects.not_closed().filter(reference__in=_references(request))


def _references(request: HttpRequest) -> list[str]:
    name, age = settings.OWN_ACCOUNTS_COOKIE_NAME, settings.SESSION_COOKIE_AGE
    own = request.get_signed_cookie(name, default="", salt=SALT, max_age=age)
    references: list[str] = own.split(".") if own else request.session.get(_BEFORE, [])
    return references
