"""The views of a customer's account: its page, which shows the progress and asks for corrections, and its state."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from provisioning import rules, services
from provisioning.models import Account, MovedMeanwhile
from signup import abuse, emails, kept_password, own_accounts, resubmission, single_sign_on
from signup.brand.context_processors import brand_of
from signup.emails.models import Mail
from signup.forms import ChangeForm, CorrectionForm, PropertiesForm
from signup.progress import ask_again_in, declined, help_address, stage
from signup.views import responses


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters("password")
def progress(request: HttpRequest, reference: UUID) -> HttpResponse:
    """Show an account's page to its own browser. On POST, apply what was entered, or change the language."""
    account = own_accounts.find(request, reference)
    if account is None:
        return render(request, "signup/unavailable.html", status=404)
    chosen = responses.choose_language(request) if "language" in request.POST else None
    form = correction(request, account)
    if chosen:
        form = form and form.as_typed()
    elif request.method == "POST" and (response := _apply(request, account, form)):
        return response
    if form:
        kept_password.ask_again(form)
    page = progress_page(request, account, form)
    page.cookies.update(chosen.cookies if chosen else {})
    return page


def progress_page(
    request: HttpRequest, account: Account, form: PropertiesForm | None, more: Mapping[str, Any] = MappingProxyType({})
) -> HttpResponse:
    """Render an account's page, with the form if there is something to enter. `more` is added to the context."""
    page = render(
        request,
        "signup/progress.html",
        {
            "account": account,
            "form": form,
            "stage": stage(account),
            "declined": declined(account),
            "note": resubmission.note(request),
            "help_address": help_address(brand_of(request).support_url, account),
            "is_written_to": bool(settings.EMAIL_URL) and Mail.objects.filter(account=account).exists(),
            "is_changeable": services.is_changeable(account),
            "likely_email": rules.likely_email(account.email),
            **more,
        },
    )
    return responses.with_status(page, form)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def reopen(request: HttpRequest) -> HttpResponse:
    """Make the sign-up that an email links to this browser's own.

    The link works more than once, because email scanners follow links too. A browser that has another customer's proof
    is asked first, and answers by POST.
    """
    try:
        account = emails.account_of(request.GET.get("token", ""))
    except (BadSignature, Account.DoesNotExist):
        return render(request, "signup/link_expired.html", status=404)
    if account.idp_provider_id and single_sign_on.is_another_customer(request, account.idp_provider_id):
        return single_sign_on.ask_to_switch(request, account.email)
    response = redirect("progress", account.reference)
    if account.idp_provider_id:
        single_sign_on.forget_others(request, account.idp_provider_id)
        own_accounts.forget(request, response)
    return responses.assign_to_browser(request, account, response, opened_from=account.email)


@require_safe
@never_cache
def status(request: HttpRequest, reference: UUID) -> JsonResponse:
    """Tell a waiting page's script the state, and in how many seconds to ask again. Writes nothing."""
    account = own_accounts.find(request, reference, only=("state", "state_changed_at"))
    if account is None:
        raise Http404
    return JsonResponse(
        {"state": account.state, "final": account.state in Account.FINAL, "ask_again_in": ask_again_in(account)}
    )


def correction(request: HttpRequest, account: Account) -> PropertiesForm | None:
    """Return the form for what was refused, or for what the customer wants to change; None if there is neither."""
    data = request.POST if request.method == "POST" else None
    if account.state != Account.State.REJECTED:
        wanted = request.GET.get("change")
        if not wanted or not services.is_changeable(account):
            return None
        return ChangeForm(account, data, names=["email"] if wanted == "email" else ())
    reasons: dict[str, str | ValidationError] = {**services.refused_keys(account)}
    if services.is_username_taken(account):
        reasons["username"] = services.TAKEN
    if not reasons:
        return ChangeForm(account, data, with_password=True)
    form = CorrectionForm(account, reasons, data)
    return form if form.fields else None


def _apply(request: HttpRequest, account: Account, form: PropertiesForm | None) -> HttpResponse | None:
    """Apply what was entered, and return the response; None if something is wrong with it."""
    page = redirect("progress", account.reference)
    if form is None:
        return page
    if not form.is_valid():
        return None
    try:
        if account.state != Account.State.REJECTED:
            changes = services.differences(account, form.cleaned_data)
            return resubmission.change(request, account, changes) if changes else page
        email = form.cleaned_data.get("email", account.email)
        hold = abuse.check_correction(account, request, email)
        with suppress(MovedMeanwhile):
            services.correct(account, form.cleaned_data, hold=hold)
            own_accounts.add(request, account, page, opened_from=email)
    except ValidationError as problems:
        form.add_error(None, problems)
        return None
    except Error as error:
        responses.add_database_error(form, error)
        return None
    return page
