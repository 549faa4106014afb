"""The responses that the form and an account's page share."""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.i18n import set_language

from provisioning.database import UNAVAILABLE, describe
from provisioning.models import Account
from signup import errors, kept_password, own_accounts, single_sign_on
from signup.forms import PropertiesForm

log = logging.getLogger(__name__)

NOT_STORED = ValidationError(
    _("We can't store your sign-up right now. Wait half a minute, then send this form again."), code="not_stored"
)


def choose_language(request: HttpRequest) -> HttpResponse:
    """Activate the language that was chosen, if it is one of ours. Return Django's response, with its cookie.

    Django would keep each made-up variant of another language, like `de-a` and `de-b`, in memory forever.
    """
    if request.POST.get("language") not in dict(settings.LANGUAGES):
        others = request.POST.copy()
        others.pop("language", None)
        request.POST = others  # type: ignore[assignment]  # its type is that of an immutable one
    chosen = set_language(request)
    if settings.LANGUAGE_COOKIE_NAME in chosen.cookies:
        translation.activate(chosen.cookies[settings.LANGUAGE_COOKIE_NAME].value)
    return chosen


def assign_to_browser(
    request: HttpRequest, account: Account, response: HttpResponse | None = None, *, opened_from: str | None = None
) -> HttpResponse:
    """Make the account this browser's own, and redirect to its page unless there is another response."""
    kept_password.forget(request)
    single_sign_on.forget_values(request)
    response = response or redirect("progress", account.reference)
    own_accounts.add(request, account, response, opened_from=opened_from)
    return response


def add_database_error(form: PropertiesForm, error: Error) -> None:
    """Ask the customer to send the form again, as they filled it in. Both tries are the same sign-up."""
    form.add_error(None, NOT_STORED)
    if isinstance(error, UNAVAILABLE):
        log.warning("sign-up not stored problem=%r", describe(error))
    else:
        log.error("sign-up not stored problem=%r", describe(error), exc_info=error)


def with_status(page: HttpResponse, form: PropertiesForm | None) -> HttpResponse:
    """Set the page's status: 429 if a rate limit stopped its form, 503 if the database did."""
    if form and form.has_error(NON_FIELD_ERRORS, "limit"):
        page.status_code = 429
    elif form and form.has_error(NON_FIELD_ERRORS, "not_stored"):
        page.status_code = 503
        page.headers["Retry-After"] = str(errors.RETRY_AFTER)
    return page
