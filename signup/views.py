"""The customers' views: the form, and the page that shows the progress of their account."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_safe
from django.views.i18n import set_language

from provisioning import rules, services
from provisioning.database import UNAVAILABLE, describe
from provisioning.models import Account, MovedMeanwhile
from signup import (
    abuse,
    attribution,
    csrf,
    errors,
    form_guard,
    form_page,
    kept_password,
    legal,
    mails,
    own_accounts,
    resubmission,
    single_sign_on,
    visitors,
    write_lock,
)
from signup.brand.context_processors import brand_of, forget_brand
from signup.forms import ChangeForm, CorrectionForm, PropertiesForm, SignupForm
from signup.mails.models import Mail
from signup.progress import declined, help_address, pause, stage
from signup.single_sign_on import Proof

log = logging.getLogger(__name__)

TOO_BUSY = _("We can't store your sign-up right now. Wait half a minute, then send this form again.")


@gzip_page  # The only secret on it is the CSRF token, which Django masks differently each time (BREACH).
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters("password")
def sign_up(request: HttpRequest) -> HttpResponse:
    if "language" in request.POST:
        return language(request)
    try:
        return _sign_up(request)
    except legal.Deleted:
        forget_brand(request)
        return _sign_up(request)  # It is validated again, with the texts that are in force now.


@single_sign_on.proof_required
def _sign_up(request: HttpRequest, proof: Proof) -> HttpResponse:
    proven = services.account_of(proof.idp_provider_id)
    if proven and request.method != "POST":
        return _assign_to_browser(request, proven)
    if request.method != "POST" and not proof.idp_provider_id:
        return form_page.blank(request)
    data = kept_password.fill_in(request) if request.method == "POST" else None
    form = SignupForm(data, proof.values, brand_of(request))
    if form.is_valid():
        try:
            return _store(request, form, proof, proven)
        except ValidationError as problems:
            form.add_error(None, problems)
            if form.has_error("username", "taken"):
                mails.remind(form.data["username"], form.data["email"])
        except UNAVAILABLE as error:
            log.warning("sign-up not stored problem=%r", describe(error))
            return _too_busy(request, form, proof)
    return form_page.filled_in(form, request, abuse.status(form), proof)


def _too_busy(request: HttpRequest, form: SignupForm, proof: Proof) -> HttpResponse:
    """Return the form as it was filled in, to send again. Both tries have the same `submission`, so they are one."""
    form.add_error(None, TOO_BUSY)
    page = form_page.filled_in(form, request, 503, proof)
    page.headers["Retry-After"] = str(errors.RETRY_AFTER)
    return page


def _store(request: HttpRequest, form: SignupForm, proof: Proof, proven: Account | None) -> HttpResponse:
    """Store a valid form: first what needs no lock, then one transaction for everything. Raises ValidationError."""
    known = proven or _sent_before(request, form, proof)
    new = _prepare(request, form, proof)
    call = None if known else abuse.check_signup(form, request)
    with write_lock.hold(), transaction.atomic():
        try:
            account = known or services.submit(new, hold=abuse.count(form, call))
            if account is not new:
                answer = resubmission.answer(request, form, account)
                if form.boxes:
                    legal.renew(account, form.accepted, brand_of(request))
                return _assign_to_browser(request, account, answer)
            if form.accepted:
                legal.record(account, form.accepted)
            mails.expect(account, request, area=visitors.area(request))
            return _assign_to_browser(request, account)
        except ValidationError as problems:  # Raised outside the transaction, so that the form stays counted.
            refused = problems
    raise refused


def _sent_before(request: HttpRequest, form: SignupForm, proof: Proof) -> Account | None:
    """Return the account that this browser signed up before. With single sign-on, the proof identifies it instead."""
    if proof.idp_provider_id or not own_accounts.has_any(request):
        return None
    if sent_before := resubmission.sent_before(request, form):
        return sent_before
    resubmission.check_second(request, form)
    return None


def _prepare(request: HttpRequest, form: SignupForm, proof: Proof) -> Account:
    host, language = visitors.host_name(request), translation.get_language() or ""
    return services.prepare(
        form.cleaned_data,
        form.submission,
        proof.idp_provider_id,
        host,
        language=language,
        billing_locale=brand_of(request).billing_locale,
        partner_account_id=proof.partner_account_id,
        attribution=attribution.of_form(request, proof.attribution),
    )


@never_cache
@sensitive_post_parameters("password")
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the form as it was filled in, to send again; for any other page, an error page."""
    why = csrf.explain(request, reason)
    if request.path not in {reverse("sign_up"), reverse("language")}:
        return render(request, "403_csrf.html", {"why": why}, status=403)
    proof = single_sign_on.proven(request)
    if proof is None:
        if reason == REASON_NO_CSRF_COOKIE:  # Django has already ruled out that another site sent the form.
            single_sign_on.keep_typed(request)
        return single_sign_on.login_page(request, why, status=403)
    form = _as_typed(request)
    form.add_error(None, f"{why} {form_guard.AGAIN}")
    return form_page.filled_in(form, request, 403, proof)


@never_cache
@sensitive_post_parameters("password")
def language(request: HttpRequest) -> HttpResponse:
    """Change the language as Django does. A form that is being filled in stays as it is."""
    if request.method != "POST":
        return redirect("sign_up")
    chosen = _choose_language(request)
    if "submission" not in request.POST or settings.LANGUAGE_COOKIE_NAME not in chosen.cookies:
        return chosen
    proof = single_sign_on.proven(request)
    if proof is None:
        single_sign_on.keep_typed(request)
        return chosen
    page = form_page.filled_in(_as_typed(request), request, 200, proof)
    page.cookies.update(chosen.cookies)
    return page


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters("password")
def progress(request: HttpRequest, reference: UUID) -> HttpResponse:
    account = own_accounts.find(request, reference)
    if account is None:
        return render(request, "signup/unavailable.html", status=404)
    chosen = _choose_language(request) if "language" in request.POST else None
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
    return render(
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
        status=abuse.status(form),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def reopen(request: HttpRequest) -> HttpResponse:
    """Make the sign-up that an email links to this browser's own.

    The link works more than once, because email scanners follow links too. A browser that has another customer's proof
    is asked first, and answers by POST.
    """
    try:
        account = mails.read(request.GET.get("token", ""))
    except (BadSignature, Account.DoesNotExist):
        return render(request, "signup/link_expired.html", status=404)
    if account.idp_provider_id and single_sign_on.is_another_customer(request, account.idp_provider_id):
        return single_sign_on.ask_to_switch(request, account.email)
    return _assign_to_browser(request, account)


@require_safe
@never_cache
def status(request: HttpRequest, reference: UUID) -> JsonResponse:
    """Tell a waiting page's script the state, and in how many seconds to ask again. Writes nothing."""
    account = own_accounts.find(request, reference, only=("state", "state_changed_at"))
    if account is None:
        raise Http404
    return JsonResponse(
        {"state": account.state, "final": account.state in Account.FINAL, "ask_again_in": pause(account)}
    )


def _as_typed(request: HttpRequest) -> SignupForm:
    return SignupForm(kept_password.fill_in(request), brand=brand_of(request)).as_typed()


def _choose_language(request: HttpRequest) -> HttpResponse:
    """Activate the language that was chosen, if it exists. Return Django's response, with its cookie."""
    chosen = set_language(request)
    if settings.LANGUAGE_COOKIE_NAME in chosen.cookies:
        translation.activate(chosen.cookies[settings.LANGUAGE_COOKIE_NAME].value)
    return chosen


def correction(request: HttpRequest, account: Account) -> PropertiesForm | None:
    """Return the form for what was refused, or for what the customer wants to change; None if there is neither."""
    data = request.POST if request.method == "POST" else None
    if account.state != Account.State.REJECTED:
        wanted = request.GET.get("change")
        if not wanted or not services.is_changeable(account):
            return None
        return ChangeForm(account, data, names=["email"] if wanted == "email" else ())
    reasons: dict[str, str | ValidationError] = {**services.refused_keys(account)}
    if services.is_taken(account):
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
        hold = abuse.check_correction(account, request, form.cleaned_data.get("email", account.email))
        with suppress(MovedMeanwhile):
            services.correct(account, form.cleaned_data, hold=hold)
    except ValidationError as problems:
        form.add_error(None, problems)
        return None
    return page


def _assign_to_browser(request: HttpRequest, account: Account, response: HttpResponse | None = None) -> HttpResponse:
    """Make the account this browser's own, and redirect to its page unless there is another response."""
    kept_password.forget(request)
    single_sign_on.forget_values(request)
    response = response or redirect("progress", account.reference)
    own_accounts.add(request, account, response)
    return response
