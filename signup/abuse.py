"""Against abuse, in layers: a decoy field, a minimum time, and limits on how often the form is sent.

ABUSE_PROTECTION switches all of it off. Whoever is refused is told what to do, for it may be a human being; everybody
who was not refused before passes when the same form is sent again.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import rules
from provisioning.models import Account
from signup import visitors
from signup.forms import PropertiesForm, SignupForm
from signup.models import Visit

if TYPE_CHECKING:
    from provisioning.rules.rule import Text

MINIMUM_SECONDS = 2
"""Nobody reads and fills in a form in less, not even with a browser that fills it in for him."""
DECOY = "comment"
"""A name that programs like to fill in, and that no browser takes for a part of an address."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Limit:
    """How many forms may come of one source within an hour and within a day."""

    an_hour: int
    a_day: int
    reason: Text


LIMITS = {
    # A class or an office shares one address, and so do the customers of some telephone companies.
    "network": Limit(30, 100, gettext_lazy("There have been many sign-ups from your network.")),
    # One person may have several businesses; more are a way to flood somebody else's mailbox.
    "email": Limit(5, 10, gettext_lazy("There have been many sign-ups with this e-mail address.")),
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


def again() -> str:
    """What to do with a form that could not be taken, though nothing in it is wrong."""
    if settings.CONSTANT_CONTACT_IDP_PROVIDER:
        return _("Please send the form once more.")
    return _("Please choose your password again and send the form once more.")


def check(form: SignupForm, request: HttpRequest) -> None:
    """Let a valid form pass, or raise ValidationError with what to do.

    A form that has become an account already always passes: sending it again changes nothing.
    """
    if not settings.ABUSE_PROTECTION or Account.objects.filter(submission=form.submission).exists():
        return
    if form.data.get(DECOY):
        raise ValidationError(
            _("Something has filled in a field that people do not see, perhaps an add-on of your browser.")
            + f" {again()}",
            code="decoy",
        )
    seconds = _seconds_since_shown(form)
    if seconds is None or seconds < MINIMUM_SECONDS:
        raise ValidationError(
            _("That was too quick for us to be sure that you are human.") + f" {again()}", code="quick"
        )
    sources = {"network": visitors.network(request), "email": rules.mailbox(form.cleaned_data["email"])}
    _count(sources, form.submission)


def check_correction(account: Account, email: str) -> None:
    """Let a correction pass, or raise ValidationError with what to do. `email` is the new address, if there is one."""
    if settings.ABUSE_PROTECTION:
        _count({"correction": str(account.reference), "email": rules.mailbox(email) if email else ""}, uuid.uuid4())


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


def _count(sources: dict[str, str], submission: uuid.UUID) -> None:
    """Count a form against the limits of its sources; raise ValidationError, uncounted, where one is used up.

    It is counted before it is judged, so that of many at once not one too many passes.
    """
    keys = {
        name: salted_hmac(f"signup.abuse.{name}", source, algorithm="sha256").hexdigest()
        for name, source in sources.items()
        if source
    }
    with transaction.atomic():
        old = Visit.objects.filter(at__lt=Now() - DAY).select_for_update(skip_locked=True)[:100]
        Visit.objects.filter(pk__in=[visit.pk for visit in old]).delete()
        visits = [Visit(key=key, submission=submission) for key in keys.values()]
        Visit.objects.bulk_create(visits, ignore_conflicts=True)
    for name, key in keys.items():
        if pause := _pause(LIMITS[name], Visit.objects.filter(key=key).exclude(submission=submission)):
            Visit.objects.filter(key__in=keys.values(), submission=submission).delete()
            raise ValidationError(f"{LIMITS[name].reason} {pause}", code="limit")


def _pause(limit: Limit, others: QuerySet[Visit]) -> str:
    """When to come back; empty where there is no need to."""
    counted = others.aggregate(
        an_hour=Count("pk", filter=Q(at__gt=Now() - HOUR)), a_day=Count("pk", filter=Q(at__gt=Now() - DAY))
    )
    if counted["a_day"] >= limit.a_day:
        return _("Nothing has been sent. Please try again tomorrow.")
    if counted["an_hour"] >= limit.an_hour:
        return _("Nothing has been sent. Please try again in an hour.")
    return ""


def _stamps() -> Signer:
    # Made when needed: at import, a missing SECRET_KEY would be a traceback instead of a system check's error.
    return Signer(salt="signup.abuse")
