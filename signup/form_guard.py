"""The form's guard against bots: a decoy field (honeypot), a minimum time, and a signature of when it was shown."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from signup.forms import SignupForm

MINIMUM_SECONDS = 2
"""No person reads and fills in the form faster, not even with a browser's autofill."""
DECOY = "comment"
"""A field name that bots like to fill in, and that no browser's autofill mistakes for part of an address."""
AGAIN = gettext_lazy("Please send the form once more.")
"""What to do with a form that was refused although nothing in it is wrong."""


@dataclass(frozen=True)
class Guard:
    """The form's fields for abuse protection."""

    shown: str
    """The form's one-time ID and the time when it was first shown, signed."""
    decoy: str = DECOY
    wait: int = MINIMUM_SECONDS * 1000
    """Milliseconds for which our script holds the form back, so that nobody is refused for being quick."""


def guard(form: SignupForm) -> Guard | None:
    """Return the form's guard for the template; None if the protection is off."""
    if not settings.ABUSE_PROTECTION:
        return None
    sent = str(form.data.get("shown", ""))
    known = _seconds_since_shown(form) is not None
    return Guard(sent if known else sign_shown(form.submission))


def sign_shown(submission: uuid.UUID) -> str:
    """Return `Guard.shown` for a form that is shown for the first time now."""
    return _signer().sign_object([str(submission), time.time()])


def check(form: SignupForm) -> float:
    """Return how many seconds ago the form was first shown.

    Raises ValidationError, with what to do, if it looks automated.
    """
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
        raise ValidationError(_("That was so quick that we can't be sure you are human.") + f" {AGAIN}", code="quick")
    return seconds


def _seconds_since_shown(form: SignupForm) -> float | None:
    """Return the form's age; None if this page didn't show it, or showed it with another ID."""
    try:
        submission, at = _signer().unsign_object(str(form.data.get("shown", "")))
    except BadSignature:
        return None
    return time.time() - at if submission == str(form.submission) else None


def _signer() -> Signer:
    # The salt is the same as in earlier releases, whose forms are still open in browsers.
    # Not at import, where a missing SECRET_KEY would be a traceback instead of a system check's error.
    return Signer(salt="signup.abuse")
