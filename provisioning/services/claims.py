"""Claims: a worker's right to make one call, for an account or for a page of the partner's list.

The evidence of a call is committed with its claim, before the call. Nothing here holds a connection to the database, or
a lock, while a call is under way.
"""

from __future__ import annotations

import logging
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, transaction
from django.db.models.functions import Now

from provisioning import gateway, rules
from provisioning.mirror import passes
from provisioning.models import Account, Attempt, ListPass, MovedMeanwhile
from provisioning.sealed import CannotOpen

log = logging.getLogger(__name__)

MOST_SLOTS = 3
"""Slots taken for one call by a machine that is too busy to keep to them, before the call is put off."""
PARKED = timedelta(hours=1)
"""How long an account waits that cannot be sent by the settings as they are."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome


class CannotSend(Exception):
    """With the settings as they are now, this account can't be sent; the message says why."""


@dataclass
class Claim(ABC):
    """The right to make one call, from the moment that its slot names."""

    slot: gateway.Slot

    def start(self) -> None:
        """Wait until the call may start; take another slot if this one was missed.

        Raises MovedMeanwhile, passes.PassLost, gateway.NoSlot or TimeoutError when the call must not be made.
        """
        for _ in range(MOST_SLOTS):
            if self.slot.wait():
                return
            self.slot = self._next_slot()
        raise TimeoutError

    @abstractmethod
    def renew(self) -> gateway.Slot:
        """Let the lease start again and take another slot. Raises if the claim is lost, or there is no slot now."""

    def _next_slot(self) -> gateway.Slot:
        """Renew the claim when there is a slot, before half the lease is over; the database is let go afterwards."""
        give_up = time.monotonic() + settings.PROVISION_LEASE / 2
        try:
            while True:
                try:
                    with transaction.atomic():
                        return self.renew()
                except gateway.NoSlot as no_slot:
                    pause = no_slot.retry_in.total_seconds() if no_slot.retry_in else float("inf")
                    if time.monotonic() + pause > give_up:
                        raise
                    time.sleep(pause)
        finally:
            close_old_connections()


@dataclass
class AccountClaim(Claim):
    """One account to create, claimed, with the evidence of the call and the properties to send."""

    account: Account
    attempt: Attempt
    properties: dict[str, Any] = field(repr=False)

    def renew(self) -> gateway.Slot:
        held = Account.objects.filter(pk=self.account.pk, state=State.SENDING, claim=self.account.claim)
        if not held.update(due_at=Now() + _lease()):
            raise MovedMeanwhile(f"{self.account.reference} is no longer {State.SENDING}")
        return gateway.take_slot()


@dataclass
class PageClaim(Claim):
    """The next page of the partner's list, claimed."""

    list_pass: ListPass

    def renew(self) -> gateway.Slot:
        passes.renew(self.list_pass)
        return gateway.take_slot(page=True)


def claim_account() -> AccountClaim | None:
    """Claim the account that is longest due to be sent. Raises gateway.NoSlot when no call may start.

    What was refused before is not sent again from the reserve of the day's quota, which is for new sign-ups.
    """
    due = Account.objects.filter(state=State.QUEUED).due()
    while due.exists():  # Asked first, so that idle workers need no lock.
        if gateway.is_down_to_reserve():
            due = due.exclude(attempts__outcome__in=(Attempt.Outcome.REFUSED, Attempt.Outcome.TAKEN))
        with transaction.atomic():
            account = due.select_for_update(skip_locked=True).first()
            if account is None:
                return None
            partners = _partners_properties(account)
            properties = _properties_or_park(account, partners)
            if properties is not None:
                slot = gateway.take_slot()
                account.move(State.SENDING, due_in=_lease(), claim=uuid.uuid4())
                account = Account.objects.get(pk=account.pk)
                attempt = _evidence(account, partners)
                return AccountClaim(slot, account, attempt, properties)
    return None


def claim_page() -> PageClaim | None:
    """Claim the next page of the partner's list, if it is to be read now. Raises gateway.NoSlot likewise."""
    if not passes.is_page_due():
        return None
    with transaction.atomic():
        held = passes.claim()
        return PageClaim(gateway.take_slot(page=True), held) if held else None


def _lease() -> timedelta:
    return timedelta(seconds=settings.PROVISION_LEASE)


def _evidence(account: Account, sent: dict[str, Any]) -> Attempt:
    return Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, sent=sent)


def _properties_or_park(account: Account, partners: dict[str, Any]) -> dict[str, Any] | None:
    """What is sent. An account that can't be sent is put off without a slot, and the reason noted once: then None."""
    try:
        return _properties(account, partners)
    except (CannotOpen, CannotSend) as error:
        problem = str(error)
    account.reschedule(due_in=PARKED)
    last = account.attempts.last()
    if last is None or last.error_message != problem:
        attempt = _evidence(account, {})
        attempt.complete(outcome=Outcome.NOT_DONE, error_message=problem)
        log.error("account cannot be sent reference=%s problem=%r", account.reference, problem)
    return None


def _properties(account: Account, partners: dict[str, Any]) -> dict[str, Any]:
    """What is sent: the customer's properties, and the `partners`."""
    asked = rules.asked(single_sign_on=bool(account.idp_provider_id))
    return {**{name: getattr(account, name) for name in asked}, **_credentials(account, partners), **partners}


def _credentials(account: Account, partners: dict[str, Any]) -> dict[str, str]:
    """How the customer will log in, as they signed up: by single sign-on, or with a password."""
    if not account.idp_provider_id:
        return {"password": account.password.open()}
    if "idp_provider" not in partners:
        raise CannotSend("Signed up by single sign-on: set CONSTANT_CONTACT_IDP_PROVIDER again.")
    return {"idp_provider_id": account.idp_provider_id}


def _partners_properties(account: Account) -> dict[str, Any]:
    """What the partner adds to a sign-up, by the settings as they are now; what is not set is left out.

    With `single_billing`, the v2 document sets `managed_site_owner` too.
    """
    properties = {
        "billing_locale": settings.CONSTANT_CONTACT_BILLING_LOCALE,
        "idp_provider": settings.CONSTANT_CONTACT_IDP_PROVIDER if account.idp_provider_id else "",
        "managed_site_owner": settings.CONSTANT_CONTACT_MANAGED_SITE_OWNER or settings.CONSTANT_CONTACT_SINGLE_BILLING,
        "partner_account_id": str(account.reference) if settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID else "",
        "single_billing": settings.CONSTANT_CONTACT_SINGLE_BILLING,
    }
    return {name: value for name, value in properties.items() if value}
