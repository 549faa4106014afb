"""Workers' tasks: make the calls they claimed, settle the answers, and do regular chores."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from provisioning import gateway
from provisioning.constant_contact import Client, Credentials, connect
from provisioning.database import UNAVAILABLE, describe
from provisioning.mirror import passes
from provisioning.models import Account, MovedMeanwhile, Worker
from provisioning.services.claims import AccountClaim, PageClaim
from provisioning.services.look_ups import settle_page
from provisioning.services.settlement import grace, settle

log = logging.getLogger(__name__)

State = Account.State

BATCH_SIZE = 50
"""How many accounts one round of chores handles, so that it stays short."""

ending = threading.Event()
"""Set when this process is to end. From then on, failed database writes are retried for no longer than `LAST_TRIES`."""
LAST_TRIES = 5.0
"""Seconds."""


def provision(claim: AccountClaim) -> None:
    """Create the claimed account at Constant Contact, and settle the answer."""
    answer = client().create(claim.properties, claim.start)
    retry_database_errors(partial(settle, claim.account, claim.attempt, answer))


def read_page(claim: PageClaim) -> None:
    """Read the claimed page of the partner's list, and settle the accounts on it."""
    answer = client().list_accounts(claim.list_pass.page, claim.start)
    retry_database_errors(partial(settle_page, claim.list_pass, answer))


def expire() -> None:
    """Take over accounts of dead workers, which may exist at Constant Contact, and close overdue rejected ones."""
    for account in Account.objects.filter(state__in=[State.SENDING, State.REJECTED]).due()[:BATCH_SIZE]:
        try:
            if account.state == State.SENDING:
                account.move(State.UNCONFIRMED, due_in=grace(account), claim=uuid.uuid4())
            else:
                account.move(State.CLOSED)
        except MovedMeanwhile:
            continue
    _discard_impossible_times()


def _discard_impossible_times() -> None:
    """Reschedule accounts whose times are too far in the future, because the database's clock was set back.

    They are due after a lease, since a worker may be making a call for one of them.
    """
    ahead = Q(state_changed_at__gt=Now() + gateway.MAX_AHEAD) | Q(due_at__gt=Now() + gateway.MAX_PAUSE)
    waiting = Account.objects.filter(ahead, due_at__gt=Now()).exclude(state=State.REJECTED)
    lease = timedelta(seconds=settings.PROVISION_LEASE)
    if waiting.exists() and waiting.update(due_at=Now() + lease, state_changed_at=Now()):
        log.warning("clock went back: accounts are due again")
    passes.discard_impossible_times()


def record_heartbeat(name: str, problem: str = "") -> None:
    """Record that this worker is alive, and what keeps it from working. Delete workers not seen for a day."""
    now = {"seen_at": Now(), "problem": problem, "version": settings.VERSION}
    Worker.objects.update_or_create(name=name, defaults=now)
    Worker.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def remove_worker(name: str) -> None:
    """Record that this worker has ended."""
    Worker.objects.filter(name=name).delete()


def retry_database_errors(write: Callable[[], None]) -> None:
    """Call `write` until the database accepts it.

    Retries on a lock, an unreachable database, or a standby that is still read-only after a failover (PostgreSQL's
    InternalError). Gives up once the process is to end and `LAST_TRIES` have passed.
    """
    started, is_logged = time.monotonic(), False
    while True:
        try:
            return write()
        except UNAVAILABLE as error:
            if ending.is_set() and time.monotonic() > started + LAST_TRIES:
                raise
            if not is_logged:
                log.warning("answer waits to be stored problem=%r", describe(error))
                is_logged = True
            connection.close()
            time.sleep(random.uniform(0.2, 1))  # noqa: S311


_thread = threading.local()


def client() -> Client:
    """Return this thread's client for Constant Contact, as configured in the settings."""
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
