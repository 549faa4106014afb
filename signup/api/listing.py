"""Lists of sign-ups, page by page, newest first.

A page continues after the last sign-up of the one before (`cursor`), by when it was submitted, which never changes. So
sign-ups that are added or that move to another state meanwhile shift nothing: none is listed twice, and none that
matches the filters all the time is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from provisioning.models import Account
from signup.api.models import ApiKey
from signup.api.problems import Problem

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 100, 500
"""How many sign-ups a page has, by default and at most."""


@dataclass(frozen=True)
class Page:
    accounts: list[Account]
    next: str | None
    """The cursor of the next page; None on the last one."""


def page(key: ApiKey, query: QueryDict) -> Page:
    """Return a page of the sign-ups that the key may see. Raises Problem for an unknown or wrong parameter."""
    given = _parameters(query)
    accounts = key.accounts().order_by("-submitted_at", "-pk")
    if state := given.get("state"):
        accounts = _in_state(accounts, key, state)
    if after := given.get("submitted_after"):
        accounts = accounts.filter(submitted_at__gte=after)
    if before := given.get("submitted_before"):
        accounts = accounts.filter(submitted_at__lt=before)
    if cursor := given.get("cursor"):
        accounts = _after(accounts, key, cursor)
    size = given.get("limit", DEFAULT_PAGE_SIZE)
    found = list(accounts[: size + 1])
    return Page(found[:size], str(found[size - 1].reference) if len(found) > size else None)


def language_of(query: QueryDict) -> str:
    """Return the language that the query asks for, or the default one. Raises Problem."""
    for name in query:
        if name != "language":
            raise _wrong(name[:100], "There is no such parameter.")
    languages = dict(settings.LANGUAGES)
    given = query.getlist("language") or [settings.LANGUAGE_CODE]
    if len(given) > 1 or given[0] not in languages:
        raise _wrong("language", f"Use one of {', '.join(languages)}, once.")
    return given[0]


def _in_state(accounts: QuerySet[Account], key: ApiKey, state: str) -> QuerySet[Account]:
    """Filter by state, so that both databases use the index that narrows down most.

    Nearly all accounts are created, so for one brand its own index is better, which an expression makes them use.
    """
    if state == Account.State.CREATED and key.brand and key.brand.host:
        return accounts.alias(in_state=Coalesce("state", Value(""))).filter(in_state=state)
    return accounts.filter(state=state)


def _after(accounts: QuerySet[Account], key: ApiKey, cursor: UUID) -> QuerySet[Account]:
    last = key.accounts().filter(reference=cursor).values_list("submitted_at", "pk").first()
    if last is None:
        raise _wrong("cursor", "There is no such cursor.")
    at, pk = last
    # The first condition is implied by the second one, but only it lets both databases start in the index.
    return accounts.filter(submitted_at__lte=at).filter(Q(submitted_at__lt=at) | Q(pk__lt=pk))


def _parameters(query: QueryDict) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, values in query.lists():
        if name not in PARAMETERS:
            raise _wrong(name[:100], "There is no such parameter.")
        if len(values) > 1:
            raise _wrong(name, "Send it once.")
        parse, expected = PARAMETERS[name]
        try:
            read[name] = parse(values[0])
        except ValueError:
            raise _wrong(name, expected) from None
    return read


def _state(text: str) -> str:
    return Account.State(text).value


def _time(text: str) -> datetime:
    at = parse_datetime(text.replace(" ", "+"))  # In a query, an unescaped + is a blank.
    if at is None or at.tzinfo is None:
        raise ValueError(text)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None


def _limit(text: str) -> int:
    limit = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise ValueError(text)
    return limit


PARAMETERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "state": (_state, f"Use one of {', '.join(Account.State)}."),
    "submitted_after": (_time, "Use a time with its offset, like 2027-01-31T09:00:00Z."),
    "submitted_before": (_time, "Use a time with its offset, like 2027-01-31T09:00:00Z."),
    "limit": (_limit, f"Use a number from 1 to {MAX_PAGE_SIZE}."),
    "cursor": (UUID, "Use the `next` of the page before."),
}
"""Parameter → how it is read, and what to say if that fails."""


def _wrong(name: str, why: str) -> Problem:
    error = {"property": name, "code": "bad_parameter", "message": why}
    return Problem("bad_parameter", errors=[error])
