"""What workers do: claim what is due, make the call, settle what comes of it.

The evidence is committed with the claim, before the call. Nothing here holds a connection to the database, or a lock,
while a call is under way.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.db.models.functions import Now

from provisioning import gateway, rules
from provisioning.constant_contact import Answer, Client, Credentials, Entry, Meaning, Problem, connect
from provisioning.models import Account, Attempt, MovedMeanwhile, Worker
from provisioning.sealed import CannotOpen
from provisioning.services.settlement import grace, settle, settle_look_up

State, Kind = Account.State, Attempt.Kind


MOST_SLOTS = 3
"""Slots taken for one call by a machine that is too busy to keep to them, before the call is put off."""


@dataclass
class Claim:
    """One call to make: the accounts it is for, claimed, each with its evidence, and the time for it."""

    evidence: list[tuple[Account, Attempt]]
    slot: gateway.Slot

    def start(self) -> None:
        """Wait until the call may start: who was held up, or has another page to read, takes another slot.

        Raises MovedMeanwhile, gateway.Shut or TimeoutError when the call must not be made.
        """
        for _ in range(MOST_SLOTS):
            if self.slot.wait():
                return
            self.slot = _next_slot(self.evidence)
        raise TimeoutError


def claim_account() -> Claim | None:
    """Claim the account that is longest due to be sent. Raises gateway.Shut when no call may start."""
    return _claim(State.QUEUED, Kind.CREATE, most=1)


def claim_look_up() -> Claim | None:
    """Claim every unconfirmed account whose grace is over: one pass over the list settles them all."""
    return _claim(State.UNCONFIRMED, Kind.LOOK_UP, most=500)


def _claim(state: str, kind: Attempt.Kind, most: int) -> Claim | None:
    due = Account.objects.filter(state=state).due()
    if not due.exists():  # So that idle workers need no lock.
        return None
    claim, lease = uuid.uuid4(), timedelta(seconds=settings.PROVISION_LEASE)
    with transaction.atomic():
        accounts = list(due.select_for_update(skip_locked=True)[:most])
        if not accounts:
            return None
        slot = gateway.take_slot()
        for account in accounts:
            if kind == Kind.CREATE:
                account.move(State.SENDING, due_in=lease, claim=claim)
            else:
                account.reschedule(due_in=lease, claim=claim)
        evidence = [
            (account, _write_evidence(account, kind))
            for account in Account.objects.filter(pk__in=[account.pk for account in accounts])
        ]
    return Claim(evidence, slot)


def _write_evidence(account: Account, kind: Attempt.Kind) -> Attempt:
    sent = _partners_properties(account) if kind == Kind.CREATE else {}
    return Attempt.objects.create(account=account, kind=kind, username=account.username, sent=sent)


def provision(claim: Claim) -> None:
    """Create the claimed account at Constant Contact, and settle what comes of it."""
    ((account, attempt),) = claim.evidence
    try:
        properties = _properties(account, attempt)
    except (CannotOpen, CannotSend) as problem:
        answer = Answer(meaning=Meaning.UNSENT, problems=(Problem("", str(problem)),))
    else:
        answer = client().create(properties, claim.start)
    retry_database_errors(partial(settle, account, attempt, answer))


def reconcile(claim: Claim) -> None:
    """Look for the claimed accounts among the partner's, page by page, and settle each."""
    answer = _read_list({account.username.lower() for account, _ in claim.evidence}, claim)
    retry_database_errors(partial(gateway.heed, answer))
    for account, attempt in claim.evidence:
        retry_database_errors(partial(settle_look_up, account, attempt, answer))


def expire() -> None:
    """Take back what dead workers left, for it may be at Constant Contact, and close what nobody corrected."""
    for account in Account.objects.filter(state__in=[State.SENDING, State.REJECTED]).due()[:500]:
        try:
            if account.state == State.SENDING:
                account.move(State.UNCONFIRMED, due_in=grace(account), claim=uuid.uuid4())
            else:
                account.move(State.CLOSED)
        except MovedMeanwhile:
            continue


def report(name: str) -> None:
    """Note that the worker of this name is alive, and forget those not seen for a day."""
    Worker.objects.update_or_create(name=name, defaults={"seen_at": Now()})
    Worker.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def sign_off(name: str) -> None:
    """Note that the worker of this name has ended in good order."""
    Worker.objects.filter(name=name).delete()


def _read_list(wanted: set[str], claim: Claim) -> Answer:
    """The partner's accounts, as far as needed to find all those wanted; LISTED only if nothing was left unread."""
    found: tuple[Entry, ...] = ()
    page, read = "", set()
    while True:
        answer = client().list_accounts(page, claim.start)
        found += answer.entries
        read.add(page)
        page = answer.next_page
        if answer.meaning != Meaning.LISTED or not page or wanted <= {each.username.lower() for each in found}:
            return replace(answer, entries=found)
        if page in read:
            problem = Problem("", "The list of accounts could not be read to its end.")
            return Answer(meaning=Meaning.UNKNOWN, entries=found, problems=(problem,))


def _next_slot(evidence: list[tuple[Account, Attempt]]) -> gateway.Slot:
    """Renew the claim, and reserve another call for it; the database is let go afterwards.

    Raises MovedMeanwhile when the claim is lost, gateway.Shut when there is none before half the lease is over.
    """
    account, lease = evidence[0][0], timedelta(seconds=settings.PROVISION_LEASE)
    held = Account.objects.filter(pk__in=[each.pk for each, _ in evidence], state=account.state, claim=account.claim)
    give_up = time.monotonic() + lease.total_seconds() / 2
    try:
        while True:
            try:
                with transaction.atomic():
                    if not held.update(due_at=Now() + lease):
                        raise MovedMeanwhile(f"{account.reference} is no longer {account.state}")
                    return gateway.take_slot()
            except gateway.Shut as shut:
                pause = shut.opens_in.total_seconds() if shut.opens_in else float("inf")
                if time.monotonic() + pause > give_up:
                    raise
                time.sleep(pause)
    finally:
        close_old_connections()


def retry_database_errors(write: Callable[[], None]) -> None:
    """Write what was learned, even if the database has to be waited for; given up when the lease must be over."""
    give_up = time.monotonic() + settings.PROVISION_LEASE
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            if time.monotonic() > give_up:
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


class CannotSend(Exception):
    """By the settings as they are now, this account cannot be sent; the message says why."""


def _properties(account: Account, attempt: Attempt) -> dict[str, Any]:
    """What is sent: the customer's properties, and the partner's as they are on record."""
    asked = rules.asked(single_sign_on=bool(account.idp_provider_id))
    return {**{name: getattr(account, name) for name in asked}, **_credentials(account, attempt), **attempt.sent}


def _credentials(account: Account, attempt: Attempt) -> dict[str, str]:
    """How the customer will log in, as they signed up: by single sign-on, or with a password."""
    if not account.idp_provider_id:
        return {"password": account.password.open()}
    if "idp_provider" not in attempt.sent:
        raise CannotSend("Signed up by single sign-on: set CONSTANT_CONTACT_IDP_PROVIDER again.")
    return {"idp_provider_id": account.idp_provider_id}


def _partners_properties(account: Account) -> dict[str, Any]:
    """What the partner adds to a sign-up, by the settings as they are now; what is not set is left out.

    «If single_billing=true, managed_site_owner is automatically set to true», says the v2 document.
    """
    properties = {
        "billing_locale": settings.CONSTANT_CONTACT_BILLING_LOCALE,
        "idp_provider": settings.CONSTANT_CONTACT_IDP_PROVIDER if account.idp_provider_id else "",
        "managed_site_owner": settings.CONSTANT_CONTACT_MANAGED_SITE_OWNER or settings.CONSTANT_CONTACT_SINGLE_BILLING,
        "partner_account_id": str(account.reference) if settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID else "",
        "single_billing": settings.CONSTANT_CONTACT_SINGLE_BILLING,
    }
    return {name: value for name, value in properties.items() if value}
