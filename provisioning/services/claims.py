"""Claims: a worker's right to make one call, for an account or for a page of the partner's list.

The evidence of a call is committed with its claim, before the call. No database connection or lock is held during a
call.
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
from django.db.models import Q
from django.db.models.functions import Now

from provisioning import gateway, rules
from provisioning.mirror import passes
from provisioning.models import Account, AccountQuerySet, Attempt, ListPass, MovedMeanwhile
from provisioning.sealed import CannotOpen

log = logging.getLogger(__name__)

CANNOT_SEND_DELAY = timedelta(hours=1)
"""How long to postpone an account that can't be sent with the current settings."""

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome


class CannotSend(Exception):
    """Raised for an account that can't be sent with the current settings. The message says why."""


@dataclass
class Claim(ABC):
    """The right to make one call, when its permit allows."""

    permit: gateway.Permit

    def start(self) -> None:
        """Wait until the call may start; acquire another permit if this one has expired.

        Raises MovedMeanwhile, passes.PassLost, gateway.CallNotPermitted or TimeoutError if the call must not be made.
        """
        gateway.wait_to_start(self.permit, self._next_permit)

    @abstractmethod
    def renew(self, lateness: timedelta) -> gateway.Permit:
        """Restart the lease and acquire another permit. Raises if the claim is lost or no call is permitted now."""

    def _next_permit(self, lateness: timedelta) -> gateway.Permit:
        """Renew the claim once a call is permitted, within half a lease, and release the database connection."""
        give_up = time.monotonic() + settings.PROVISION_LEASE / 2
        try:
            while True:
                try:
                    with transaction.atomic():
                        return self.renew(lateness)
                except gateway.CallNotPermitted as refusal:
                    pause = refusal.retry_in.total_seconds() if refusal.retry_in else float("inf")
                    if time.monotonic() + pause > give_up:
                        raise
                    time.sleep(pause)
        finally:
            close_old_connections()


@dataclass
class AccountClaim(Claim):
    """A claim to create one account, with the evidence of the call and the properties to send."""

    account: Account
    attempt: Attempt
    properties: dict[str, Any] = field(repr=False)

    def renew(self, lateness: timedelta) -> gateway.Permit:
        mine = Account.objects.filter(pk=self.account.pk, state=State.SENDING, claim=self.account.claim)
        if not mine.update(due_at=Now() + _lease()):
            raise MovedMeanwhile(f"{self.account.reference} is no longer {State.SENDING}")
        return gateway.acquire_permit(lateness=lateness)


@dataclass
class PageClaim(Claim):
    """A claim to read the next page of the partner's list."""

    list_pass: ListPass

    def renew(self, lateness: timedelta) -> gateway.Permit:
        passes.renew(self.list_pass)
        return gateway.acquire_permit(page=True, lateness=lateness)


def claim_account() -> AccountClaim | None:
    """Claim the queued account that is longest overdue. Raises gateway.CallNotPermitted if no call may start.

    Accounts that were refused before don't use the share of the daily quota that is reserved for new sign-ups.
    """
    while _queue().exists():  # Checked first, so that idle workers need no lock.
        admitted = _admitted()
        with transaction.atomic():
            account = admitted.select_for_update(skip_locked=True).first()
            if account is None:
                return None
            added = _partner_properties(account)
            properties = _properties_or_postpone(account, added)
            if properties is not None:
                permit = gateway.acquire_permit()
                account.move(State.SENDING, due_in=_lease(), claim=uuid.uuid4())
                account = Account.objects.get(pk=account.pk)
                attempt = _evidence(account, added)
                return AccountClaim(permit, account, attempt, properties)
    return None


def is_account_due() -> bool:
    """Whether an account is due, even if another worker is just claiming it."""
    return _admitted().exists()


def retry_unsendable() -> None:
    """Let accounts be sent now that couldn't be sent with the settings of another worker, or of this one before."""
    Account.objects.unsendable().update(due_at=Now())


def _queue() -> AccountQuerySet:
    return Account.objects.filter(state=State.QUEUED).due()


def _admitted() -> AccountQuerySet:
    """Return the accounts that are due and that the daily quota has room for."""
    queue = _queue()
    return queue.exclude(attempts__outcome__in=Attempt.REFUSALS) if gateway.is_down_to_reserve() else queue


def expected_wait(account: Account) -> timedelta | None:
    """Return about how long it takes until a queued account is sent, by the number of accounts that are due before it.

    None if nobody can say: it waits for staff, or nothing is being sent.
    """
    if account.due_at is None:
        return None
    is_ahead = Q(due_at__lt=account.due_at) | Q(due_at=account.due_at, pk__lt=account.pk)
    ahead = Account.objects.filter(is_ahead, state=State.QUEUED).count()
    is_new = not account.attempts.filter(outcome__in=Attempt.REFUSALS).exists()
    wait = gateway.expected_wait(ahead + 1, share=1 if is_new else 1 - gateway.RESERVE)
    return wait and max(wait, account.due_at - gateway.now())


def claim_page() -> PageClaim | None:
    """Claim the next page of the partner's list if one is due. Raises gateway.CallNotPermitted if no call may start."""
    if not passes.is_page_due():
        return None
    with transaction.atomic():
        claimed = passes.claim()
        return PageClaim(gateway.acquire_permit(page=True), claimed) if claimed else None


def _lease() -> timedelta:
    return timedelta(seconds=settings.PROVISION_LEASE)


def _evidence(account: Account, sent: dict[str, Any]) -> Attempt:
    return Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, sent=sent)


def _properties_or_postpone(account: Account, added: dict[str, Any]) -> dict[str, Any] | None:
    """Return the properties to send. If the account can't be sent, postpone it, record why once, and return None."""
    try:
        return _properties(account, added)
    except (CannotOpen, CannotSend) as error:
        problem = str(error)
    account.reschedule(due_in=CANNOT_SEND_DELAY)
    last = account.attempts.last()
    if last is None or last.error_message != problem:
        attempt = _evidence(account, {})
        attempt.complete(outcome=Outcome.NOT_DONE, error_message=problem)
        log.error("account cannot be sent reference=%s problem=%r", account.reference, problem)
    return None


def _properties(account: Account, added: dict[str, Any]) -> dict[str, Any]:
    """Return the properties to send: the customer's, and those `added` by the partner."""
    asked = rules.customer_properties(single_sign_on=bool(account.idp_provider_id))
    return {**{name: getattr(account, name) for name in asked}, **_credentials(account, added), **added}


def _credentials(account: Account, added: dict[str, Any]) -> dict[str, str]:
    """Return the properties by which the customer will log in: a single sign-on ID or a password, as they signed up."""
    if not account.idp_provider_id:
        return {"password": account.password.open()}
    if "idp_provider" not in added:
        raise CannotSend("The customer signed up with single sign-on: set CONSTANT_CONTACT_IDP_PROVIDER again.")
    return {"idp_provider_id": account.idp_provider_id}


def _partner_properties(account: Account) -> dict[str, Any]:
    """Return the properties that the partner adds to a sign-up: its own, its brand's, or those of the settings.

    Empty ones are left out. As documented for v2, `single_billing` implies `managed_site_owner`.
    """
    own_id = str(account.reference) if settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID else ""
    properties = {
        "billing_locale": account.billing_locale or settings.CONSTANT_CONTACT_BILLING_LOCALE,
        "idp_provider": settings.CONSTANT_CONTACT_IDP_PROVIDER if account.idp_provider_id else "",
        "managed_site_owner": settings.CONSTANT_CONTACT_MANAGED_SITE_OWNER or settings.CONSTANT_CONTACT_SINGLE_BILLING,
        "partner_account_id": account.partner_account_id or own_id,
        "single_billing": settings.CONSTANT_CONTACT_SINGLE_BILLING,
    }
    return {name: value for name, value in properties.items() if value}
