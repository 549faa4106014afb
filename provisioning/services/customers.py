"""Customers' actions: submit the form, change it before it is sent, and correct what was refused."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from provisioning import audit, rules
from provisioning.attribution import clean as clean_attribution
from provisioning.mirror import matching
from provisioning.mirror.models import name_key
from provisioning.models import UNIQUE_USERNAME, Account, Attempt, AuditEntry, IllegalMove
from provisioning.sealed import CannotOpen, Sealed
from provisioning.services.insertion import insert
from provisioning.signals import submitted

log = logging.getLogger(__name__)

TAKEN = ValidationError(_("This username is taken. Choose another one."), code="taken")

UNANSWERED = ValidationError(
    _("This username can't be changed right now: Constant Contact may already have created an account with it."),
    code="unanswered",
)
UNCHANGED = ValidationError(
    _("Nothing has changed, so Constant Contact would refuse it again. Change what it refused."), code="unchanged"
)


def prepare(
    values: Mapping[str, object],
    submission: uuid.UUID,
    idp_provider_id: str = "",
    host: str = "",
    *,
    language: str = "",
    billing_locale: str = "",
    partner_account_id: str = "",
    attribution: Mapping[str, object] = MappingProxyType({}),
) -> Account:
    """Return a sign-up for `submit`: validated, with its password sealed, and not stored yet.

    With single sign-on, `idp_provider_id` is the customer's proven identity, never a form value. `host` is the host
    name that the form was sent to, `language` the form's language; `billing_locale` is its brand's, if it has its own.
    `partner_account_id` is the partner's own ID for the account, and never a form value either. `attribution` is where
    the sign-up came from; what can't be stored of it is left out. Raises ValidationError with the problems of each
    property.
    """
    single_sign_on = bool(settings.CONSTANT_CONTACT_IDP_PROVIDER)
    if single_sign_on != bool(idp_provider_id):
        raise ValueError("idp_provider_id is required with single sign-on, and not allowed without it.")
    asked = set(rules.customer_properties(single_sign_on=single_sign_on))
    entered = _sealed(rules.clean(values, only=asked))
    if partner_account_id:
        entered |= rules.clean({"partner_account_id": partner_account_id}, only={"partner_account_id"})
    if single_sign_on:  # The same form sent by a different person is a different sign-up.
        submission = uuid.uuid5(submission, idp_provider_id)
        entered |= rules.clean({"idp_provider_id": idp_provider_id}, only={"idp_provider_id"})
    cleaned_attribution = clean_attribution(attribution) if attribution else {}
    return Account(
        submission=submission,
        host=host,
        language=language,
        billing_locale=billing_locale,
        attribution=cleaned_attribution,
        **entered,
    )


def submit(account: Account, *, hold: bool = False) -> Account:
    """Store a prepared sign-up and return it, or return the account that the same form or person has already created.

    With `hold`, it waits for staff. Raises ValidationError (code `taken`) if another open account here, or an account
    in the partner's list, has the username.
    """
    account.state = Account.State.HELD if hold else Account.State.QUEUED
    account.due_at = None if hold else Now()
    with transaction.atomic(savepoint=False):
        stored = insert(account) or (not matching.is_listed(account.username) and insert(account, even_if_listed=True))
        if stored:
            submitted.send(Account, account=account)
    if not stored:
        # The form was already sent, or the same person sent another one in another window, or the username is taken.
        same_form = Account.objects.filter(submission=account.submission)
        if sent := account_of(account.idp_provider_id) or same_form.first():
            return sent
        raise ValidationError({"username": TAKEN})
    log.info("account submitted reference=%s", account.reference)
    return account


def account_of(idp_provider_id: str) -> Account | None:
    """Return the account that is not closed with this single sign-on ID; None if there is none or the ID is empty."""
    return Account.objects.not_closed().filter(idp_provider_id=idp_provider_id).first() if idp_provider_id else None


def differences(account: Account, values: Mapping[str, object]) -> dict[str, Any]:
    """Return the cleaned values of a form that differ from the account's.

    The password is compared as long as it is stored. After it is wiped, it counts as unchanged.
    """
    asked = set(values) & correctable(account)
    return {name: values[name] for name in asked if values[name] != _kept(account, name, values[name])}


def change(account: Account, values: Mapping[str, object], *, hold: bool = False) -> None:
    """Store new values from the customer for an account that can't exist at Constant Contact yet.

    A queued or held account keeps its place. A rejected one is sent again if the values include everything that was
    refused; with `hold`, only after staff approve it. Raises ValidationError like `submit`, IllegalMove if the account
    may exist at Constant Contact, and MovedMeanwhile if a worker was faster; then nothing is changed.
    """
    if account.state == Account.State.REJECTED and refused(account).keys() <= values.keys():
        return correct(account, values, hold=hold)
    if not is_changeable(account):
        raise IllegalMove(f"An account that is {account.state} may already exist at Constant Contact.")
    with _unique_username():
        entered = _entered(account, values)
        account.revise(**_sealed(entered))
        _record(account, "Changed", entered)
    return None


def is_changeable(account: Account) -> bool:
    """Whether the values can still be changed here, because Constant Contact certainly has no account for them."""
    if account.state in {Account.State.HELD, Account.State.QUEUED}:
        return not account.unanswered().exists()
    return account.state == Account.State.REJECTED


def correct(
    account: Account, values: Mapping[str, object], *, hold: bool = False, by: int | None = None, agent: str = ""
) -> None:
    """Send a rejected account again, with new values for some properties.

    It is sent unchanged only if Constant Contact didn't say what it refused. `by` is the primary key of the staff
    member who corrects it, `agent` the name of the system; without both, it is the customer, who can't correct
    `partner_account_id`. With `hold`, it waits for staff first. Raises ValidationError like `submit`, IllegalMove if
    the account is not rejected, MovedMeanwhile in a race.
    """
    account.require_state(Account.State.REJECTED)
    entered = _entered(account, values, by_customer=not (by or agent))
    if refused(account) and not differences(account, entered):
        raise UNCHANGED
    to, due_in = (Account.State.HELD, None) if hold else (Account.State.QUEUED, timedelta())
    with _unique_username():
        account.move(to, due_in=due_in, **_sealed(entered))
        _record(account, "Corrected", entered, by, agent)


def correctable(account: Account, *, by_customer: bool = False) -> set[str]:
    """Return the properties that a correction can change. Customers never see the partner's own ID."""
    entered = {*rules.customer_properties(single_sign_on=bool(account.idp_provider_id))}
    return entered if by_customer else entered | {"partner_account_id"}


def refused(account: Account) -> dict[str, str]:
    """Return a rejected account's refused properties and Constant Contact's reasons; empty if it named no property."""
    last = account.last_rejection()
    return last.reasons() if last else {}


def refused_keys(account: Account) -> dict[str, str]:
    """Return a rejected account's refused properties and Constant Contact's error keys, empty if not known."""
    last = account.last_rejection()
    return {name: last.refused_keys.get(name, "") for name in last.refused} if last else {}


def is_username_taken(account: Account) -> bool:
    """Whether a rejected account was refused because its username is in use."""
    last = account.last_rejection()
    return last is not None and last.outcome != Attempt.Outcome.REFUSED


def _entered(account: Account, values: Mapping[str, object], *, by_customer: bool = True) -> dict[str, Any]:
    """Return the new values, validated together with those that the account keeps.

    The username can't change while a call under it is unanswered: a call under another one could create a second
    account.
    """
    together = {name: getattr(account, name) for name in rules.CUSTOMER_PROPERTIES} | dict(values)
    entered = rules.clean(together, only=set(values) & correctable(account, by_customer=by_customer))
    if name_key(str(together["username"])) != name_key(account.username):
        if account.unanswered().exists():
            raise ValidationError({"username": UNANSWERED})
        _require_unlisted(str(together["username"]))
    return entered


def _record(account: Account, what: str, entered: Mapping[str, Any], by: int | None = None, agent: str = "") -> None:
    """Add an entry to the audit trail, with the new values and those that the account had when it was read."""
    changes = audit.changes(account, differences(account, entered))
    what = what if changes else "Sent again unchanged"
    AuditEntry.objects.create(account=account, user_id=by, agent=agent, what=what, changes=changes)


def _kept(account: Account, name: str, otherwise: object) -> object:
    """Return the account's value, or `otherwise` for a password that can't be read."""
    value = getattr(account, name)
    if not isinstance(value, Sealed):
        return value
    try:
        return value.open() or otherwise
    except CannotOpen:
        return otherwise


def _sealed(entered: dict[str, Any]) -> dict[str, Any]:
    return entered | ({"password": Sealed.of(entered["password"])} if "password" in entered else {})


def _require_unlisted(username: str) -> None:
    """Raise ValidationError if the partner's list shows the username: Constant Contact would refuse it as in use.

    This tells the customer at once, without a call. The list is usually read once a day, so a call may still be
    refused.
    """
    if matching.is_listed(username):
        raise ValidationError({"username": TAKEN})


@contextmanager
def _unique_username() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if UNIQUE_USERNAME not in str(error):
            raise
        raise ValidationError({"username": TAKEN}) from None
