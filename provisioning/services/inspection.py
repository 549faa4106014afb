"""Reading the partner's list once, to see whether the credentials work, or whether an account is on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings

from provisioning import constant_contact, gateway
from provisioning.constant_contact import Meaning
from provisioning.services.look_ups import describe_answer
from provisioning.services.workers import client

MAX_PAGES = 20
"""How many pages are read for one account, so that a long list costs little of the quota."""


@dataclass(frozen=True)
class ListPage:
    """A page of the list. `reason` says why it could not be read."""

    is_list: bool
    is_sent: bool
    """Whether the call may have reached Constant Contact."""
    is_answered: bool
    reason: str
    account_ids: frozenset[str]
    next_page: str

    @property
    def entries(self) -> int:
        return len(self.account_ids)


def read_list(page: str = "") -> ListPage:
    """Read a page with one paced call, if the gateway permits it. Raises the database's error if it can't."""
    answer = client().list_accounts(page, partial(gateway.wait_to_start, _permit(), _permit))
    gateway.apply_answer(answer)
    ids = frozenset(entry.account_id for entry in answer.entries)
    return ListPage(
        is_list=answer.meaning == Meaning.LISTED,
        is_sent=answer.meaning != Meaning.UNSENT,
        is_answered=answer.status is not None,
        reason=describe_answer(answer),
        account_ids=ids,
        next_page=answer.next_page,
    )


def find_listed(account_id: str) -> bool:
    """Whether the account is on the first pages of the list."""
    page = read_list()
    for _ in range(MAX_PAGES):
        if account_id in page.account_ids:
            return True
        if not page.next_page:
            return False
        page = read_list(page.next_page)
    return False


def trusted_authorities() -> str:
    """Return the path of the CA certificates that calls trust."""
    return constant_contact.trusted_authorities(settings.CONSTANT_CONTACT_URL)


def _permit(lateness: timedelta = timedelta()) -> gateway.Permit:
    """Acquire a permit once the rate limit allows. Raises gateway.CallNotPermitted during a pause or a stop."""
    while True:
        try:
            return gateway.acquire_permit(page=True, lateness=lateness)
        except gateway.RateLimited as rate:
            time.sleep(rate.retry_in.total_seconds())
