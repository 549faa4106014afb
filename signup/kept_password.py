"""Keeping the password of a form whose username is taken, so that the customer doesn't have to enter it again.

A password is never sent back to a browser, so after any other mistake the customer enters it again. A taken username
is no mistake of the customer's: only this site knows which names are taken, from its own accounts and from the
partner's list, and one click on a suggestion is all that is missing. Names are checked only for a form without other
mistakes, and each check counts against the limits, so that nobody can try out names at will.

The password is kept in the session for half an hour, sealed as in an account, and bound to the form's ID. Expired
sessions are deleted. If the browser already has accounts of its own, its session lives longer, so nothing is kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from provisioning.sealed import CannotOpen, Sealed
from signup import abuse, own_accounts
from signup.forms import PropertiesForm, SignupForm

SESSION_KEY = "password"
"""The key in a browser's session."""
LIFETIME = 30 * 60
"""Seconds."""

AGAIN = _("Enter your password again.")


def fill_in(request: HttpRequest) -> Mapping[str, Any]:
    """Return what was sent, with the password that was kept for it."""
    sent = request.POST
    kept = request.session.get(SESSION_KEY)
    if not kept or "password" in sent or kept["submission"] != sent.get("submission") or kept["until"] < time.time():
        return sent
    try:
        password = Sealed(kept["sealed"]).open()
    except CannotOpen:
        return sent
    filled_in = sent.copy()
    filled_in.update({"password": password, "insist": "yes"})  # The customer has been warned already.
    return filled_in


def keep_or_ask_again(request: HttpRequest, form: SignupForm) -> None:
    """Before a form is shown again, keep its password if possible; otherwise, ask for it again."""
    if not _is_lost(form):
        return
    is_kept = (
        str(form.submission) == request.session.get(SESSION_KEY, {}).get("submission")
        and "password" not in request.POST
    )
    if is_kept or (form.has_error("username", "taken") and _may_keep(request)):
        _keep(request, str(form.submission), form.data["password"])
        form.hide_password()
    else:
        ask_again(form)


def ask_again(form: PropertiesForm) -> None:
    """Before a form is shown again, say whether its password has to be entered again."""
    if _is_lost(form) and form.errors:
        form.add_error("password", AGAIN)
    elif _is_lost(form):
        form["password"].help_text = f"{AGAIN} {form['password'].help_text}"


def forget(request: HttpRequest) -> None:
    """Forget the password, which the account has now."""
    if request.session.pop(SESSION_KEY, None):
        request.session.set_expiry(None)


def _is_lost(form: PropertiesForm) -> bool:
    """Whether a valid password was entered that the page can't show again."""
    return bool(form.data.get("password")) and "password" in form.fields and not form.has_error("password")


def _may_keep(request: HttpRequest) -> bool:
    """Whether a password can be kept for this browser. Anybody can make many browsers, so new sessions are limited."""
    if own_accounts.sent_and_not_closed(request).exists():
        return False
    return bool(request.session.session_key) or abuse.record_kept_password(request)


def _keep(request: HttpRequest, submission: str, password: str) -> None:
    sealed = Sealed.of(password).ciphertext
    request.session[SESSION_KEY] = {"submission": submission, "sealed": sealed, "until": time.time() + LIFETIME}
    request.session.set_expiry(LIFETIME)
