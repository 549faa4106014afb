"""Forgetting: what is personal goes, what counts and compares stays."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models.functions import Now

from provisioning.models import Account, Attempt, IllegalMove, ListEntry, MovedMeanwhile
from provisioning.sealed import NOTHING
from provisioning.services.staff import may_exist
from provisioning.services.workers import expire

log = logging.getLogger(__name__)

State = Account.State

ERASABLE = frozenset(State) - {State.SENDING}
"""All but what a worker holds: a call for it may be under way."""
AT_ONCE = 25
"""So many accounts are purged in one go, so that the chores of a worker stay short."""


def erase(account: Account) -> None:
    """Erase the personal data of an account, of its attempts and of its entries in the admin's log, for good.

    An account that waits is closed first. Raises IllegalMove for one that is being sent, or erased already;
    MovedMeanwhile in a race. An account at Constant Contact is not touched: the log says where there may be one.
    """
    if account.erased_at or account.state not in ERASABLE:
        raise IllegalMove(f"An account that is {account.state} cannot be erased.")
    lives_on = may_exist(account)
    with transaction.atomic():
        if account.state not in Account.FINAL:
            account.move(State.CLOSED)
        names = ("website", "state_code", "first_name", "last_name", "email", "phone", "idp_provider_id")
        blank = dict.fromkeys(names, "")
        gone = Account.objects.filter(pk=account.pk, state__in=Account.FINAL, erased_at__isnull=True).update(
            erased_at=Now(),
            organization_name="Erased",
            username=f"erased-{account.reference}",
            gdpr_opt_out=False,
            oauth2_token=NOTHING,
            **blank,
        )
        if not gone:
            raise MovedMeanwhile(f"{account.reference} was erased meanwhile")
        # A late answer completes only an attempt that has no end, and would bring what it repeats back.
        account.attempts.filter(ended_at=None).update(ended_at=Now(), outcome=Attempt.Outcome.UNKNOWN)
        for attempt in account.attempts.all():
            properties = dict.fromkeys(attempt.refused, "")
            Attempt.objects.filter(pk=attempt.pk).update(username="", error_message="", refused=properties, answer="")
        ListEntry.objects.exclude(account_id="").filter(account_id=account.account_id).update(
            username="", username_key="", organization_name="", organization_key=""
        )
        kind = ContentType.objects.get_for_model(Account)
        entries = LogEntry.objects.filter(content_type=kind, object_id=str(account.pk))
        entries.update(object_repr=str(account.reference))
    log.info("account erased reference=%s", account.reference)
    if lives_on:
        log.warning("account erased reference=%s may exist at Constant Contact", account.reference)


def purge(days: int | None = None) -> int:
    """Erase the oldest accounts submitted more than `days` ago (RETENTION_DAYS; 0: none), and say how many.

    It reaches every state, even while no worker lives and nothing is sent.
    """
    days = settings.RETENTION_DAYS if days is None else days
    if not days:
        return 0
    expire()
    age = Now() - timedelta(days=days)
    old = Account.objects.filter(erased_at__isnull=True, submitted_at__lte=age, state__in=ERASABLE)
    erased = 0
    for account in old.order_by("submitted_at")[:AT_ONCE]:
        with suppress(MovedMeanwhile):
            erase(account)
            erased += 1
    return erased


def wipe_token(account: Account) -> None:
    """Forget the access token of a created account. Raises MovedMeanwhile when there is none any more."""
    kept = Account.objects.filter(pk=account.pk).exclude(oauth2_token=NOTHING)
    if not kept.update(oauth2_token=NOTHING):
        raise MovedMeanwhile(f"{account.reference} has no token")
    log.info("token wiped reference=%s", account.reference)
