"""The responses that the form and an account's page share."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import translation
from django.views.i18n import set_language

from provisioning.models import Account
from signup import kept_password, own_accounts, single_sign_on


def choose_language(request: HttpRequest) -> HttpResponse:
    """Activate the language that was chosen, if it is one of ours. Return Django's response, with its cookie.

    Of any other that it knows, Django would keep each made-up variant, like `de-a` and `de-b`, in memory forever.
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
    request: HttpRequest, account: Account, response: HttpResponse | None = None, *, is_opened: bool = False
) -> HttpResponse:
    """Make the account this browser's own, and redirect to its page unless there is another response."""
    kept_password.forget(request)
    single_sign_on.forget_values(request)
    response = response or redirect("progress", account.reference)
    own_accounts.add(request, account, response, is_opened=is_opened)
    return response
