"""What customers do: submit the form, and correct what was refused."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.models import Account, Attempt
from provisioning.sealed import Sealed
from provisioning.services import fuse

log = logging.getLogger(__name__)

TAKEN = ValidationError(_("This user name is taken. Choose another one."), code="taken")


def submit(values: Mapping[str, object], submission: uuid.UUID) -> Account:
    """Store a sign-up, once for each `submission`: sent again, it gives the account that it gave before.

    Raises ValidationError with the problems of each property, among them (code `taken`) a user name that a living
    account of ours holds. In an abnormal hour the account is held for staff, see `fuse`.
    """
    if account := Account.objects.filter(submission=submission).first():
        return account
    entered = _sealed(rules.clean(values, only=set(rules.CUSTOMER_PROPERTIES)))
    queued = {"state": Account.State.QUEUED, "due_at": Now()}
    start = {"state": Account.State.HELD} if fuse.is_blown() else queued
    with _user_name_held_once():
        account, new = Account.objects.get_or_create(submission=submission, defaults=entered | start)
    if new:
        log.info("account submitted reference=%s", account.reference)
    account.refresh_from_db()
    return account


def correct(account: Account, values: Mapping[str, object]) -> None:
    """Take new values for some properties of a rejected account and send it again; no values: send it as it is.

    Raises ValidationError like `submit`, IllegalMove where the account is not rejected, MovedMeanwhile in a race.
    """
    account.demand(Account.State.REJECTED)
    entered = {name: getattr(account, name) for name in rules.CUSTOMER_PROPERTIES} | dict(values)
    with _user_name_held_once():
        account.move(Account.State.QUEUED, due_in=timedelta(), **_sealed(rules.clean(entered, only=set(values))))


def refused(account: Account) -> dict[str, str]:
    """Of a rejected account: property → why Constant Contact refused it; empty where it named no property."""
    last = account.attempts.filter(kind=Attempt.Kind.CREATE).last()
    return dict(last.refused) if last else {}


def is_taken(account: Account) -> bool:
    """Of a rejected account: whether it was refused because its user name is in use."""
    last = account.attempts.filter(kind=Attempt.Kind.CREATE).last()
    return last is not None and last.outcome == Attempt.Outcome.TAKEN


def _sealed(entered: dict[str, Any]) -> dict[str, Any]:
    return entered | ({"password": Sealed.of(entered["password"])} if "password" in entered else {})


@contextmanager
def _user_name_held_once() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise ValidationError({"username": TAKEN}) from None
