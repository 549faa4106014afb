"""What customers do: submit the form, and correct what was refused."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.models import ONE_LIVING_PER_USERNAME, Account, Attempt
from provisioning.sealed import Sealed
from provisioning.services import fuse

log = logging.getLogger(__name__)

TAKEN = ValidationError(_("This user name is taken. Choose another one."), code="taken")


def submit(values: Mapping[str, object], submission: uuid.UUID, idp_provider_id: str = "", host: str = "") -> Account:
    """Store a sign-up, once for each `submission`: sent again, it gives the account that it gave before.

    With single sign-on `idp_provider_id` is who the customer has proven to be, never what a form says; whoever has a
    living account gets that one. Raises ValidationError with the problems of each property, among them (code `taken`)
    a user name that a living account of ours holds. In an abnormal hour the account is held for staff, see `fuse`.
    `host` names the page that the form was sent from.
    """
    single_sign_on = bool(settings.CONSTANT_CONTACT_IDP_PROVIDER)
    if single_sign_on != bool(idp_provider_id):
        raise ValueError("An id of single sign-on comes with single sign-on, and only then.")
    if single_sign_on:  # The same form sent by somebody else is another sign-up.
        submission = uuid.uuid5(submission, idp_provider_id)
    if account := account_of(idp_provider_id) or Account.objects.filter(submission=submission).first():
        return account
    only = {*rules.asked(single_sign_on=single_sign_on), "idp_provider_id"}
    entered = _sealed(rules.clean({**values, "idp_provider_id": idp_provider_id}, only=only))
    queued = {"state": Account.State.QUEUED, "due_at": Now()}
    start = {"state": Account.State.HELD} if fuse.is_blown() else queued
    try:
        with _username_held_once():
            account, new = Account.objects.get_or_create(
                submission=submission, defaults=entered | start | {"host": host}
            )
    except (ValidationError, IntegrityError):
        if account := account_of(idp_provider_id):  # The same person was faster, in another window.
            return account
        raise
    if new:
        log.info("account submitted reference=%s", account.reference)
    account.refresh_from_db()
    return account


def account_of(idp_provider_id: str) -> Account | None:
    """The living account of who has proven this id; an empty one proves nothing."""
    return Account.objects.living().filter(idp_provider_id=idp_provider_id).first() if idp_provider_id else None


def correct(account: Account, values: Mapping[str, object]) -> None:
    """Take new values for some properties of a rejected account and send it again; no values: send it as it is.

    Raises ValidationError like `submit`, IllegalMove where the account is not rejected, MovedMeanwhile in a race.
    """
    account.require_state(Account.State.REJECTED)
    entered = {name: getattr(account, name) for name in rules.CUSTOMER_PROPERTIES} | dict(values)
    asked = rules.asked(single_sign_on=bool(account.idp_provider_id))
    with _username_held_once():
        account.move(
            Account.State.QUEUED,
            due_in=timedelta(),
            **_sealed(rules.clean(entered, only=set(values).intersection(asked))),
        )


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
def _username_held_once() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if ONE_LIVING_PER_USERNAME not in str(error):
            raise
        raise ValidationError({"username": TAKEN}) from None
