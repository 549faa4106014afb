"""The sign-ups that belong to a browser: those it sent, or opened from an email. Nobody else sees their pages."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest

from provisioning.models import Account, AccountQuerySet

OWN = "accounts"
"""The session key for the references of a browser's accounts."""


def add(request: HttpRequest, account: Account) -> None:
    """Make the account this browser's own, under a new session key (against session fixation)."""
    reference = str(account.reference)
    request.session[OWN] = [*(own for own in _references(request) if own != reference), reference]
    request.session.cycle_key()


def need_a_session(request: HttpRequest) -> bool:
    """Whether this browser has no session yet, so that `add` stores a new one."""
    return not (_references(request) or request.session.session_key)


def has_any(request: HttpRequest) -> bool:
    """Whether this browser has any. Most browsers that send the form have none, and then no query is needed."""
    return bool(_references(request))


def find(request: HttpRequest, reference: UUID, only: tuple[str, ...] = ()) -> Account | None:
    """Return the account if it is this browser's own. With `only`, just these columns are read."""
    if str(reference) not in _references(request):
        return None
    accounts = Account.objects.filter(reference=reference)
    return (accounts.only(*only) if only else accounts).first()


def living(request: HttpRequest) -> AccountQuerySet:
    """Return this browser's accounts that are not closed."""
    return Account.objects.living().filter(reference__in=_references(request))


def _references(request: HttpRequest) -> list[str]:
    references: list[str] = request.session.get(OWN, [])
    return references
