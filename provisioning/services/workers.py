"""What workers do: make the calls that they claimed and settle what comes of them, and the chores of the house."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.db.models.functions import Now

from provisioning.constant_contact import Client, Credentials, connect
from provisioning.models import Account, MovedMeanwhile, Worker
from provisioning.services.claims import AccountClaim, PageClaim
from provisioning.services.settlement import grace, settle, settle_page

State = Account.State

AT_ONCE = 50
"""Accounts that one round of chores takes on, so that it stays short."""
CLOCK_WENT_BACK = timedelta(hours=2)
"""No account is ever queued for a time this far ahead, but by a clock that was wrong."""

ending = threading.Event()
"""Set when this process is to end: what was learned is then written for the time of a lease, and no longer."""


def provision(claim: AccountClaim) -> None:
    """Create the claimed account at Constant Contact, and settle what comes of it."""
    answer = client().create(claim.properties, claim.start)
    retry_database_errors(partial(settle, claim.account, claim.attempt, answer))


def read_page(claim: PageClaim) -> None:
    """Read the claimed page of the partner's list, and settle the accounts that it tells of."""
    answer = client().list_accounts(claim.list_pass.page, claim.start)
    retry_database_errors(partial(settle_page, claim.list_pass, answer))


def expire() -> None:
    """Take back what dead workers left, for it may exist at Constant Contact, and close what nobody corrected."""
    for account in Account.objects.filter(state__in=[State.SENDING, State.REJECTED]).due()[:AT_ONCE]:
        try:
            if account.state == State.SENDING:
                account.move(State.UNCONFIRMED, due_in=grace(account), claim=uuid.uuid4())
            else:
                account.move(State.CLOSED)
        except MovedMeanwhile:
            continue
    Account.objects.filter(state=State.QUEUED, due_at__gt=Now() + CLOCK_WENT_BACK).update(due_at=Now())


def report(name: str) -> None:
    """Note that the worker of this name is alive, and forget those not seen for a day."""
    Worker.objects.update_or_create(name=name, defaults={"seen_at": Now()})
    Worker.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def sign_off(name: str) -> None:
    """Note that the worker of this name has ended in good order."""
    Worker.objects.filter(name=name).delete()


def retry_database_errors(write: Callable[[], None]) -> None:
    """Write what was learned, however long the database has to be waited for.

    A lock, a database that is away, or a standby that is still read-only after a failover (an InternalError of
    PostgreSQL) are all waited for. Gives up when the process is to end and a lease is over.
    """
    started = time.monotonic()
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError, InternalError):
            if ending.is_set() and time.monotonic() > started + settings.PROVISION_LEASE:
                raise
            connection.close()
            time.sleep(random.uniform(0.2, 1))  # noqa: S311


_thread = threading.local()


def client() -> Client:
    """This thread's client of Constant Contact, as the settings say."""
    credentials = Credentials(
        url=settings.CONSTANT_CONTACT_URL,
        api_key=settings.CONSTANT_CONTACT_API_KEY,
        username=settings.CONSTANT_CONTACT_USERNAME,
        password=settings.CONSTANT_CONTACT_PASSWORD,
        oauth2_token=settings.CONSTANT_CONTACT_OAUTH2_TOKEN,
        token_url=settings.CONSTANT_CONTACT_TOKEN_URL,
    )
    known: Client | None = getattr(_thread, "client", None)
    if known is None or known.credentials != credentials:
        _thread.client = known = connect(
            settings.CONSTANT_CONTACT_API, credentials, timeout=settings.CONSTANT_CONTACT_TIMEOUT
        )
    return known
