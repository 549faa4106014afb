"""Erasure of personal data, and of secrets. States, times, countries, and host names stay, for statistics."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from provisioning.audit import MASKED
from provisioning.models import Account, Attempt, IllegalMove, ListEntry, MovedMeanwhile
from provisioning.rules import PERSONAL_PROPERTIES, RULES
from provisioning.sealed import NOTHING
from provisioning.services.staff import may_exist
from provisioning.services.workers import expire
from provisioning.signals import erased

log = logging.getLogger(__name__)

State = Account.State

ERASABLE = frozenset(State) - {State.SENDING}
"""All but `sending`: a call for such an account may be in flight."""
BATCH_SIZE = 25
"""How many accounts one round handles, so that a worker's chores stay short."""


def erase(account: Account) -> None:
    """Permanently erase the personal data of an account, its attempts, and its entries in the audit trail.

    An account that is not final is closed first. Raises IllegalMove for one that is being sent or already erased, and
    MovedMeanwhile in a race. The account at Constant Contact is not touched; the log says if there may be one.
    """
    if account.erased_at:
        raise IllegalMove("It is already erased.")
    if account.state not in ERASABLE:
        raise IllegalMove("It is being sent. Try again in a minute.")
    lives_on = may_exist(account)
    with transaction.atomic():
        if account.state not in Account.FINAL:
            account.move(State.CLOSED)
        _erase_values(account)
        _erase_attempts(account)
        ListEntry.objects.exclude(account_id="").filter(account_id=account.account_id).update(
            username="", username_key="", organization_name="", organization_key=""
        )
        for entry in account.audit_entries.all():
            entry.mask()
        erased.send(Account, account=account)
    log.info("account erased reference=%s", account.reference)
    if lives_on:
        log.warning("account erased reference=%s may exist at Constant Contact", account.reference)


def _erase_values(account: Account) -> None:
    """Empty the account's own columns, and replace those that staff recognize it by. Raises MovedMeanwhile."""
    emptied = {name: RULES[name].kind() for name in PERSONAL_PROPERTIES}
    replaced = {"organization_name": "Erased", "username": f"erased-{account.reference}"}
    values = emptied | replaced | {"decline_note": "", "oauth2_token": NOTHING, "attribution": {}}
    as_read = Account.objects.filter(pk=account.pk, state__in=Account.FINAL, erased_at__isnull=True)
    if not as_read.update(erased_at=Now(), **values):
        raise MovedMeanwhile(f"{account.reference} was erased meanwhile")


def _erase_attempts(account: Account) -> None:
    # Otherwise, a late answer would complete such an attempt, and could bring personal data back.
    account.attempts.filter(ended_at=None).update(ended_at=Now(), outcome=Attempt.Outcome.UNKNOWN)
    for attempt in account.attempts.all():
        properties = dict.fromkeys(attempt.refused, "")
        Attempt.objects.filter(pk=attempt.pk).update(
            username="", error_message="", refused=properties, answer="", sent=_without_id(account, attempt.sent)
        )


def _without_id(account: Account, sent: dict[str, Any]) -> dict[str, Any]:
    """Return what was sent, with the partner's own ID for the customer masked. Our reference says nothing of them."""
    name, reference = "partner_account_id", str(account.reference)
    return sent | {name: MASKED} if sent.get(name, reference) != reference else sent


def purge(days: int | None = None) -> int:
    """Erase the oldest accounts submitted more than `days` ago, and return how many were erased.

    `days` defaults to RETENTION_DAYS; 0 erases none. Works for every state, even if no worker is running.
    """
    days = settings.RETENTION_DAYS if days is None else days
    if not days:
        return 0
    expire()
    age = Now() - timedelta(days=days)
    old = Account.objects.filter(erased_at__isnull=True, submitted_at__lte=age, state__in=ERASABLE)
    done = 0
    for account in old.order_by("submitted_at")[:BATCH_SIZE]:
        with suppress(MovedMeanwhile):
            erase(account)
            done += 1
    return done


def wipe_token(account: Account) -> None:
    """Delete the access token of a created account. Raises MovedMeanwhile if there is none."""
    kept = Account.objects.filter(pk=account.pk).exclude(oauth2_token=NOTHING)
    if not kept.update(oauth2_token=NOTHING):
        raise MovedMeanwhile(f"{account.reference} has no token")
    log.info("token wiped reference=%s", account.reference)
