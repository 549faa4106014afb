"""A model of the provider, and the calls that went out to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from provisioning.constant_contact import Answer, Entry, Meaning
from tests.provisioning.states.choices import NONE

PAGE = 2
"""Accounts on a page of the list."""
NOTHING_DONE = frozenset(Meaning) - {Meaning.CREATED, Meaning.UNKNOWN, Meaning.LISTED}


@dataclass(frozen=True)
class Listed:
    """An account at the provider."""

    account_id: str
    username: str
    organization: str
    owner: int | None
    """The sign-up that it was created for; None if it is somebody else's."""
    listed_at: timedelta


class Provider:
    """The model of the provider: the accounts that really exist there."""

    def __init__(self, clock: Callable[[], timedelta]) -> None:
        self.accounts: list[Listed] = []
        self.shows_usernames = True
        self._clock = clock
        self._coming: list[partial[Listed | None]] = []
        """Requests that are carried out later."""

    def make(self, username: str, organization: str, owner: int | None, lag: timedelta = NONE) -> Listed | None:
        if self.holder(username):
            return None
        made = Listed(f"id-{len(self.accounts)}", username, organization, owner, self._clock() + lag)
        self.accounts.append(made)
        return made

    def holder(self, username: str) -> Listed | None:
        return next((each for each in self.accounts if each.username.lower() == username.lower()), None)

    def of(self, owner: int) -> list[Listed]:
        return [each for each in self.accounts if each.owner == owner]

    def create(self, properties: Mapping[str, Any], owner: int, course: str, lag: timedelta) -> Answer:
        carry_out = partial(self.make, properties["username"], properties["organization_name"], owner, lag)
        if course in NOTHING_DONE:
            return Answer(meaning=Meaning(course))
        if course in ("late", "503"):
            self._coming.append(carry_out)
            return Answer(meaning=Meaning.UNKNOWN, status=503 if course == "503" else None)
        if course == "swallowed":
            return Answer(meaning=Meaning.UNKNOWN)
        if not (made := carry_out()):
            return Answer(meaning=Meaning.TAKEN, status=409)
        return Answer(meaning=Meaning.CREATED, account_id=made.account_id) if course == "answered" else UNANSWERED

    def page(self, page: str, course: str) -> Answer:
        """Return a page of the list. New accounts come last, but one that is listed late appears in its own place."""
        start, now = int(page or 0), self._clock()
        listed = [at for at in range(start, len(self.accounts)) if self.accounts[at].listed_at <= now]
        entries = tuple(self._entry(self.accounts[at]) for at in listed[:PAGE])
        following = str(listed[PAGE]) if len(listed) > PAGE else ""
        match course:
            case "answered":
                return Answer(meaning=Meaning.LISTED, entries=entries, next_page=following)
            case "empty":
                return Answer(meaning=Meaning.LISTED, next_page=str(start + 1))
            case "repeated":
                return Answer(meaning=Meaning.LISTED, entries=entries, next_page=page or "0")
        return Answer(meaning=Meaning(course))

    def come_to_rest(self) -> None:
        """Carry out delayed requests, and list all accounts."""
        for carry_out in self._coming:
            carry_out()
        self._coming.clear()
        self.accounts = [replace(each, listed_at=self._clock()) for each in self.accounts]

    def _entry(self, account: Listed) -> Entry:
        shown = account.username if self.shows_usernames else "Jack Box"
        return Entry(account.account_id, shown, account.organization)


UNANSWERED = Answer(meaning=Meaning.UNKNOWN)


@dataclass
class Call:
    """A call that went out for a sign-up."""

    username: str
    at: int
    learned: Meaning | None = None
    """Its evidence."""

    @property
    def may_have_created(self) -> bool:
        return self.learned not in NOTHING_DONE
