"""The views of the sign-up form."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import Error, transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods

from provisioning import services
from provisioning.models import Account
from signup import (
    abuse,
    attribution,
    csrf,
    emails,
    form_guard,
    form_page,
    kept_password,
    legal,
    own_accounts,
    resubmission,
    single_sign_on,
    visitors,
    write_lock,
)
from signup.brand.context_processors import brand_of, forget_brand
from signup.forms import SignupForm, new_submission
from signup.single_sign_on import Proof
from signup.views import responses


@gzip_page  # The only secret on it is the CSRF token, which Django masks differently each time (BREACH).
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters("password")
def sign_up(request: HttpRequest) -> HttpResponse:
    """Show the form. On POST, store the sign-up, or change the language."""
    if "language" in request.POST:
        return language(request)
    try:
        return _sign_up(request)
    except legal.Deleted:
        forget_brand(request)
        return _sign_up(request)  # It is validated again, with the texts that are in force now.


@single_sign_on.proof_required
def _sign_up(request: HttpRequest, proof: Proof) -> HttpResponse:
    existing = services.account_of(proof.idp_provider_id)
    if existing and request.method != "POST":
        return responses.assign_to_browser(request, existing)
    if request.method != "POST" and not proof.idp_provider_id:
        return form_page.blank(request)
    data = kept_password.fill_in(request) if request.method == "POST" else None
    form = SignupForm(data, proof.values, brand_of(request))
    if form.is_valid():
        username, email = form.cleaned_data["username"], form.cleaned_data["email"]
        try:
            return _store(request, form, proof, existing)
        except ValidationError as problems:
            form.add_error(None, problems)
            if form.has_error("username", "taken"):
                emails.remind(username, email)
        except Error as error:
            responses.add_database_error(form, error)
    return responses.with_status(form_page.filled_in(form, request, 200, proof), form)


def _store(request: HttpRequest, form: SignupForm, proof: Proof, existing: Account | None) -> HttpResponse:
    """Store a valid form: first what needs no lock, then one transaction for everything. Raises ValidationError."""
    known = existing or _sent_before(request, form, proof)
    new = _prepare(request, form, proof)
    call = None if known else abuse.check_signup(form, request)
    with write_lock.hold(), transaction.atomic():
        try:
            account = known or services.submit(new, hold=abuse.record_call(form, call))
            if account is not new:
                answer = resubmission.answer(request, form, account)
                if form.agreement_fields:
                    legal.renew(account, form.accepted, brand_of(request))
                return responses.assign_to_browser(request, account, answer)
            if form.accepted:
                legal.record(account, form.accepted)
            emails.enable(account, request, area=visitors.area(request))
            return responses.assign_to_browser(request, account)
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
    proof = single_sign_on.get_proof(request)
    if proof is None:
        if reason == REASON_NO_CSRF_COOKIE:  # Django has already ruled out that another site sent the form.
            single_sign_on.keep_typed(request)
        return single_sign_on.login_page(request, why, status=403)
    form = _as_typed(request)
    if csrf.may_be_from_elsewhere(reason):  # Whoever knows the ID of a form gets the account that it creates.
        form.submission = new_submission()
    form.add_error(None, f"{why} {form_guard.AGAIN}")
    return form_page.filled_in(form, request, 403, proof)


@never_cache
@sensitive_post_parameters("password")
def language(request: HttpRequest) -> HttpResponse:
    """Change the language as Django does. A form that is being filled in stays as it is."""
    if request.method != "POST":
        return redirect("sign_up")
    chosen = responses.choose_language(request)
    if "submission" not in request.POST or settings.LANGUAGE_COOKIE_NAME not in chosen.cookies:
        return chosen
    proof = single_sign_on.get_proof(request)
    if proof is None:
        single_sign_on.keep_typed(request)
        return chosen
    page = form_page.filled_in(_as_typed(request), request, 200, proof)
    page.cookies.update(chosen.cookies)
    return page


def _as_typed(request: HttpRequest) -> SignupForm:
    return SignupForm(kept_password.fill_in(request), brand=brand_of(request)).as_typed()
