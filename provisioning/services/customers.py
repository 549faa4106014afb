"""What customers do: submit the form, change what is not sent yet, and correct what was refused."""

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
from provisioning.mirror.models import name_key
from provisioning.models import ONE_LIVING_PER_USERNAME, Account, Attempt, IllegalMove
from provisioning.sealed import CannotOpen, Sealed

log = logging.getLogger(__name__)

TAKEN = ValidationError(_("This user name is taken. Choose another one."), code="taken")

UNANSWERED = ValidationError(
    _("This username can't be changed now: Constant Contact may have created an account with it already."),
    code="unanswered",
)
REFUSALS = (Attempt.Outcome.REFUSED, Attempt.Outcome.TAKEN, Attempt.Outcome.OTHERS)


def submit(
    values: Mapping[str, object],
    submission: uuid.UUID,
    idp_provider_id: str = "",
    host: str = "",
    *,
    hold: bool = False,
) -> Account:
    """Store a sign-up, once for each `submission`: sent again, it gives the account that it gave before.

    With single sign-on `idp_provider_id` is who the customer has proven to be, never what a form says; whoever has a
    living account gets that one. Raises ValidationError with the problems of each property, among them (code `taken`)
    a user name that a living account of ours holds. `host` names the page that the form was sent
    from; with `hold` the account waits for staff.
    """
    single_sign_on = bool(settings.CONSTANT_CONTACT_IDP_PROVIDER)
    if single_sign_on != bool(idp_provider_id):
        raise ValueError("An id of single sign-on comes with single sign-on, and only then.")
    if single_sign_on:  # The same form sent by somebody else is another sign-up.
        submission = uuid.uuid5(submission, idp_provider_id)
    only = {*rules.asked(single_sign_on=single_sign_on), "idp_provider_id"}
    start = {"state": Account.State.HELD} if hold else {"state": Account.State.QUEUED, "due_at": Now()}
    try:
        entered = _sealed(rules.clean({**values, "idp_provider_id": idp_provider_id}, only=only))
        with _username_held_once():
            account = Account.objects.create(submission=submission, host=host, **entered, **start)
    except (ValidationError, IntegrityError):
        # Sent before, or by the same person in another window.
        if sent := account_of(idp_provider_id) or Account.objects.filter(submission=submission).first():
            return sent
        raise
    log.info("account submitted reference=%s", account.reference)
    if not hold:
        del account.due_at  # An expression, of which the database has made a time: read when somebody asks for it.
    return account


def account_of(idp_provider_id: str) -> Account | None:
    """The living account of who has proven this id; an empty one proves nothing."""
    return Account.objects.living().filter(idp_provider_id=idp_provider_id).first() if idp_provider_id else None


def differences(account: Account, values: Mapping[str, object]) -> dict[str, Any]:
    """Those of a form's judged values that are not the account's.

    The password is compared while it is kept; once it is wiped, nobody can tell any more, and it counts as the same.
    """
    asked = set(values).intersection(rules.asked(single_sign_on=bool(account.idp_provider_id)))
    return {name: values[name] for name in asked if values[name] != _kept(account, name, values[name])}


def change(account: Account, values: Mapping[str, object]) -> None:
    """Take other values for an account of which Constant Contact can know nothing yet, in the customer's own words.

    A queued or held account keeps its turn. A rejected one is corrected and sent again, if everything that was refused
    is among them. Raises ValidationError like `submit`, IllegalMove where the account may be at Constant Contact, and
    MovedMeanwhile where a worker was faster: then nothing is changed.
    """
    if account.state == Account.State.REJECTED and refused(account).keys() <= values.keys():
        return correct(account, values)
    if not is_changeable(account):
        raise IllegalMove(f"What is {account.state} may be at Constant Contact as it was sent first.")
    with _username_held_once():
        account.revise(**_entered(account, values))
    return None


def is_changeable(account: Account) -> bool:
    """Whether what was entered can still be changed here: Constant Contact surely has nothing of it."""
    if account.state in {Account.State.HELD, Account.State.QUEUED}:
        return not account.unanswered().exists()
    return account.state == Account.State.REJECTED


def correct(account: Account, values: Mapping[str, object]) -> None:
    """Take new values for some properties of a rejected account and send it again; no values: send it as it is.

    Raises ValidationError like `submit`, IllegalMove where the account is not rejected, MovedMeanwhile in a race.
    """
    account.require_state(Account.State.REJECTED)
    with _username_held_once():
        account.move(Account.State.QUEUED, due_in=timedelta(), **_entered(account, values))


def refused(account: Account) -> dict[str, str]:
    """Of a rejected account: property → why Constant Contact refused it; empty where it named no property."""
    last = account.attempts.filter(outcome__in=REFUSALS).last()
    return dict(last.refused) if last else {}


def is_taken(account: Account) -> bool:
    """Of a rejected account: whether it was refused because its user name is in use."""
    last = account.attempts.filter(outcome__in=REFUSALS).last()
    return last is not None and last.outcome != Attempt.Outcome.REFUSED


def _entered(account: Account, values: Mapping[str, object]) -> dict[str, Any]:
    """The new values as columns, judged beside those that the account keeps.

    The username stays while a call under it is unanswered: a call under another one could make a second account.
    """
    together = {name: getattr(account, name) for name in rules.CUSTOMER_PROPERTIES} | dict(values)
    if name_key(str(together["username"])) != name_key(account.username) and account.unanswered().exists():
        raise ValidationError({"username": UNANSWERED})
    asked = rules.asked(single_sign_on=bool(account.idp_provider_id))
    return _sealed(rules.clean(together, only=set(values).intersection(asked)))


def _kept(account: Account, name: str, otherwise: object) -> object:
    """The account's value; `otherwise` for a password that cannot be read."""
    value = getattr(account, name)
    if not isinstance(value, Sealed):
        return value
    try:
        return value.open() or otherwise
    except CannotOpen:
        return otherwise


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
