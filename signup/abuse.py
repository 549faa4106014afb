"""Against abuse, in layers: a decoy field, a minimum time, and limits on how often the form is sent.

ABUSE_PROTECTION switches all of it off. Whoever is refused is told what to do, for it may be a human being; everybody
who was not refused before passes when the same form is sent again.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import rules
from provisioning.models import Account
from signup import burst, visitors, visits
from signup.forms import PropertiesForm, SignupForm
from signup.models import Visit
from signup.visits import Tally

if TYPE_CHECKING:
    from provisioning.rules.rule import Text

log = logging.getLogger(__name__)

MINIMUM_SECONDS = 2
"""Nobody reads and fills in a form in less, not even with a browser that fills it in for him."""
DECOY = "comment"
"""A name that programs like to fill in, and that no browser takes for a part of an address."""
AGAIN = gettext_lazy("Please send the form once more.")
"""What to do with a form that could not be taken, though nothing in it is wrong."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Limit:
    """How many calls to Constant Contact one source may cause within an hour and within a day."""

    an_hour: int
    a_day: int
    reason: Text


LIMITS = {
    # A class or an office shares one address, and so do the customers of some telephone companies.
    "network": Limit(40, 120, gettext_lazy("There have been many sign-ups from your network.")),
    # One person may have several businesses, and try several usernames; more are a way to flood somebody's mailbox.
    "email": Limit(10, 20, gettext_lazy("There have been many sign-ups with this email address.")),
    # Each correction is another call to Constant Contact, and the day's calls are for all customers.
    "correction": Limit(10, 30, gettext_lazy("You have corrected this sign-up many times.")),
}


@dataclass(frozen=True)
class Guard:
    """What a form carries for our judgement of it."""

    shown: str
    """Its id and the time when it was first shown, signed."""
    decoy: str = DECOY
    wait: int = MINIMUM_SECONDS * 1000
    """Milliseconds for which a script may hold the form back, so that nobody is refused for being quick."""


def guard(form: SignupForm) -> Guard | None:
    """For the template; None where the protection is off."""
    if not settings.ABUSE_PROTECTION:
        return None
    sent = str(form.data.get("shown", ""))
    known = _seconds_since_shown(form) is not None
    return Guard(sent if known else stamp(form.submission))


def stamp(submission: uuid.UUID) -> str:
    """What `Guard.shown` is for a form that is shown for the first time now."""
    return _stamps().sign_object([str(submission), time.time()])


@dataclass(frozen=True)
class Call:
    """A call to Constant Contact that a visitor asks for: the keys of what it counts against, and of what it shares
    with others."""

    name: uuid.UUID
    """The same for whatever counts only once."""
    limited: Mapping[str, str]
    shared: Mapping[str, str]


def judge(form: SignupForm, request: HttpRequest) -> Call | None:
    """Let a valid form pass, or raise ValidationError with what to do. Needs no lock; `count` the call it asks for.

    None where there is nothing to count.
    """
    if not settings.ABUSE_PROTECTION:
        return None
    try:
        return _call(form, request)
    except ValidationError as stopped:
        _stop(form, stopped)
        return None


def count(form: SignupForm, call: Call | None) -> bool:
    """Count a form's call against its limits, or raise ValidationError. Return whether it is to be held for staff.

    In the caller's transaction, which is to be short: others wait for it.
    """
    try:
        return call is not None and _count(call)
    except ValidationError as stopped:
        _stop(form, stopped)
        return False


def _stop(form: SignupForm, stopped: ValidationError) -> None:
    """Raise `stopped`, unless the form has become an account already: sending it again changes nothing."""
    if not Account.objects.filter(submission=form.submission).exists():
        log.warning("sign-up stopped by=%s", stopped.code)
        raise stopped


def _call(form: SignupForm, request: HttpRequest) -> Call:
    if form.data.get(DECOY):
        raise ValidationError(
            _("A field that people can't see was filled in, perhaps by a browser extension.") + f" {AGAIN}",
            code="decoy",
        )
    seconds = _seconds_since_shown(form)
    if seconds is None:
        raise ValidationError(
            _("This page was opened before our last update, or it was changed on its way to us.") + f" {AGAIN}",
            code="unreadable",
        )
    if seconds < MINIMUM_SECONDS:
        raise ValidationError(_("That was too quick for us to be sure that you are human.") + f" {AGAIN}", code="quick")
    email = form.cleaned_data["email"]
    # Each username asks us, and then Constant Contact, whether it is taken.
    name = uuid.uuid5(form.submission, form.cleaned_data["username"].lower())
    sources = {"network": visitors.network(request), "email": rules.mailbox(email)}
    return Call(name, _keys(sources), _keys(burst.traits(request, email, seconds)))


def check_correction(account: Account, request: HttpRequest, email: str) -> bool:
    """Let a correction pass, or raise ValidationError with what to do. Return whether it is to be held for staff.

    `email` is the address that it leads to.
    """
    if not settings.ABUSE_PROTECTION:
        return False
    sources = {
        "network": visitors.network(request),
        "email": rules.mailbox(email),
        "correction": str(account.reference),
    }
    try:
        with transaction.atomic():
            return _count(Call(uuid.uuid4(), _keys(sources), _keys(burst.traits(request, email))))
    except ValidationError as stopped:
        log.warning("correction stopped by=%s reference=%s", stopped.code, account.reference)
        raise


def status(form: PropertiesForm | None) -> int:
    """The HTTP status of a page with this form: 429 where it came too often."""
    return 429 if form and form.has_error(NON_FIELD_ERRORS, "limit") else 200


def _seconds_since_shown(form: SignupForm) -> float | None:
    """None where the form was not shown by us, or had another id then."""
    try:
        submission, at = _stamps().unsign_object(str(form.data.get("shown", "")))
    except BadSignature:
        return None
    return time.time() - at if submission == str(form.submission) else None


def forget_visits(**kwargs: Any) -> None:
    """Delete visits that count no more."""
    oldest = Visit.objects.order_by("pk")[:1000].values("pk")
    old = Visit.objects.filter(pk__in=oldest, at__lt=Now() - DAY)
    if old.exists():  # So that mostly nothing is written.
        old.delete()


def _count(call: Call) -> bool:
    """Count a call against the limits of its sources; raise ValidationError, uncounted, where one is used up.

    Returns whether it belongs to a burst. In the caller's transaction: calls that count against the same limit follow
    each other, so that of many at once not one too many passes.
    """
    limited = call.limited
    visits.lock(limited.values())
    verdicts = {name: key(name, "") for name in (burst.PASSED, burst.HELD)}
    asked = {name: Tally(key, most=burst.enough()) for name, key in verdicts.items()}
    for name, visited in limited.items():
        asked[f"{name} day"] = Tally(visited, 24, but=call.name)
        asked[f"{name} hour"] = Tally(visited, but=call.name)
        asked[f"{name} this"] = Tally(visited, 24, only=call.name)
    calls = visits.count(asked)
    for name in limited:
        if calls[f"{name} day"] >= LIMITS[name].a_day:
            raise _used_up(LIMITS[name], _("Nothing has been sent. Please try again tomorrow."))
        if calls[f"{name} hour"] >= LIMITS[name].an_hour:
            raise _used_up(LIMITS[name], _("Nothing has been sent. Please try again in an hour."))
    if burst.must_compare(calls):
        calls |= visits.count({name: Tally(key) for name, key in {**call.shared, **verdicts}.items()})
    hold = burst.holds(calls)
    new = [limited[name] for name in limited if not calls[f"{name} this"]]
    if len(new) == len(limited):
        new += [*call.shared.values(), verdicts[burst.HELD if hold else burst.PASSED]]
    if new:
        visits.add(call.name, new)
    if hold:
        burst.note()
    return hold


def _keys(sources: Mapping[str, str]) -> dict[str, str]:
    return {name: key(name, source) for name, source in sources.items() if source}


def key(name: str, source: str) -> str:
    """What a visit is counted under: it tells nobody whose it is."""
    return salted_hmac(f"signup.abuse.{name}", source, algorithm="sha256").hexdigest()


def _used_up(limit: Limit, pause: str) -> ValidationError:
    return ValidationError(f"{limit.reason} {pause}", code="limit")


def _stamps() -> Signer:
    # Made when needed: at import, a missing SECRET_KEY would be a traceback instead of a system check's error.
    return Signer(salt="signup.abuse")
