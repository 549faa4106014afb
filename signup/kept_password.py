"""The password of a form whose username is taken, kept for its next try, so that nobody has to choose another one.

A password is never sent back to a browser, so after any other mistake it has to be entered again. With a taken username
nothing that the customer did is wrong, one press on a suggestion is all that is missing, and whether a name is free is
known only here: our own accounts and the partner's list are looked at before anything is sent. That is done for a
form that is right in everything else, and counts against the limits, so that nobody can ask for names at will. So the
password waits in the session, sealed as it would be in the account, under the id of the form,
for half an hour; sessions that are over are deleted. It is not kept where the browser has accounts of its own already,
whose session lives longer than that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from provisioning.sealed import CannotOpen, Sealed
from signup import own_accounts
from signup.forms import PropertiesForm, SignupForm

KEPT = "password"
"""The key in a browser's session."""
LIFETIME = 30 * 60
"""Seconds."""

AGAIN = _("Enter your password again.")


def fill_in(request: HttpRequest) -> Mapping[str, Any]:
    """What was sent, with the password that is kept for it."""
    sent = request.POST
    kept = request.session.get(KEPT)
    if not kept or "password" in sent or kept["submission"] != sent.get("submission") or kept["until"] < time.time():
        return sent
    try:
        password = Sealed(kept["sealed"]).open()
    except CannotOpen:
        return sent
    filled_in = sent.copy()
    filled_in.update({"password": password, "insist": "yes"})  # Whatever there was to say about it has been said.
    return filled_in


def settle(request: HttpRequest, form: SignupForm) -> None:
    """Before a form is shown again: keep its password, and do not ask for it; or else say that it is asked for."""
    if not _is_lost(form):
        return
    is_kept = str(form.submission) == request.session.get(KEPT, {}).get("submission") and "password" not in request.POST
    if is_kept or (form.has_error("username", "taken") and not own_accounts.living(request).exists()):
        _keep(request, str(form.submission), form.data["password"])
        form.hide_password()
    else:
        ask_again(form)


def ask_again(form: PropertiesForm) -> None:
    """Before a form is shown again: say so if its password has to be entered again."""
    if _is_lost(form) and form.errors:
        form.add_error("password", AGAIN)
    elif _is_lost(form):
        form["password"].help_text = f"{AGAIN} {form['password'].help_text}"


def forget(request: HttpRequest) -> None:
    """Once the form has become an account, which has the password."""
    if request.session.pop(KEPT, None):
        request.session.set_expiry(None)


def _is_lost(form: PropertiesForm) -> bool:
    """Whether a good password was entered: the page shows it as empty."""
    return bool(form.data.get("password")) and "password" in form.fields and not form.has_error("password")


def _keep(request: HttpRequest, submission: str, password: str) -> None:
    sealed = Sealed.of(password).ciphertext
    request.session[KEPT] = {"submission": submission, "sealed": sealed, "until": time.time() + LIFETIME}
    request.session.set_expiry(LIFETIME)
