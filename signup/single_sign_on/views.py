"""The views that log customers and staff in with single sign-on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from provisioning.admin_site import page_or_index, record_authentication
from signup import attribution, own_accounts
from signup.single_sign_on import link, openid, staff
from signup.single_sign_on.proof import (
    NotProven,
    ask_to_switch,
    is_another_customer,
    is_from_link,
    is_id,
    keep_attribution,
    keep_proof,
    login_page,
)

log = logging.getLogger(__name__)

View = Callable[[HttpRequest], HttpResponse]

PROPERTIES = {
    "given_name": "first_name",
    "family_name": "last_name",
    "email": "email",
    "organization": "organization_name",
}
"""Claim → the property that it fills in. All but the last are OpenID Connect's standard claims."""
BACK = "staff.back"
"""The session key for the page that asked staff to confirm that it's them."""
NOBODY = _("You are logged in, but this login can't be used here. Please ask for help.")


def available_if(setting: Callable[[], object], *methods: str) -> Callable[[View], View]:
    """Decorate a view that exists only while something is set, for GET and other methods."""

    def decorate(view: View) -> View:
        @wraps(view)
        def page(request: HttpRequest) -> HttpResponse:
            if not setting():
                raise Http404
            return view(request)

        return never_cache(require_http_methods(["GET", *methods])(page))

    return decorate


def is_from_elsewhere(request: HttpRequest) -> bool:
    """Whether another site sent the browser here. A login must start with a click on one of our own pages.

    All browsers have sent this header since 2023 (https://www.w3.org/TR/fetch-metadata/).
    """
    return request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}


@available_if(lambda: settings.CONSTANT_CONTACT_IDP_PROVIDER and settings.OIDC_ISSUER)
def log_in(request: HttpRequest) -> HttpResponse:
    """Send a customer to the identity provider."""
    if is_from_elsewhere(request):
        return login_page(request)
    keep_attribution(request, attribution.of_visit(request))
    try:
        return openid.redirect_to_provider(request, "logged_in")
    except NotProven as failure:
        return login_page(request, failure.text, status=503)


@available_if(lambda: settings.CONSTANT_CONTACT_IDP_PROVIDER and settings.OIDC_ISSUER)
def logged_in(request: HttpRequest) -> HttpResponse:
    """Keep the proof of a customer who comes back from the identity provider, and open their form."""
    try:
        claims = openid.read_claims(request, "logged_in")
    except NotProven as failure:
        return login_page(request, failure.text, status=403)
    who = claims.get(settings.OIDC_ID_CLAIM)
    if not is_id(who):
        log.error("login refused: Constant Contact doesn't accept the claim %s as an ID", settings.OIDC_ID_CLAIM)
        return login_page(request, NOBODY, status=403)
    if settings.OIDC_ID_CLAIM == "email" and claims.get("email_verified") in (False, "false"):
        log.warning("login refused: the customer's ID is an email address that the provider has not verified")
        return login_page(request, NOBODY, status=403)
    keep_proof(request, str(who), {name: claims.get(claim) for claim, name in PROPERTIES.items()})
    return _to_own_form(request)


@available_if(lambda: settings.CONSTANT_CONTACT_IDP_PROVIDER and settings.SIGNUP_LINK_KEY, "POST")
def start(request: HttpRequest) -> HttpResponse:
    """Accept a signed link. In the browser that used it first, it works again.

    A browser that has another customer's proof is asked first, and answers by POST.
    """
    try:
        read = link.read(request.GET.get("token", ""), request.build_absolute_uri("/"))
        if is_another_customer(request, read.idp_provider_id):
            return ask_to_switch(request, str(read.values.get("email") or read.idp_provider_id))
        if not is_from_link(request, read.digest):
            read.use_up()
            keep_attribution(request, attribution.of_visit(request))
            keep_proof(
                request,
                read.idp_provider_id,
                read.values,
                link=read.digest,
                partner_account_id=read.partner_account_id,
            )
    except NotProven as failure:
        return login_page(request, failure.text, status=403)
    return _to_own_form(request)


def _to_own_form(request: HttpRequest) -> HttpResponse:
    """Open the form for a customer with a proof, which leads on to their own account if they have one.

    The browser may have been somebody else's before, so it can't open any other account from now on.
    """
    response = redirect("sign_up")
    own_accounts.forget(request, response)
    return response


@available_if(lambda: settings.OIDC_STAFF_CLAIM)
def staff_log_in(request: HttpRequest) -> HttpResponse:
    """Redirect to the provider. Staff who are already logged in return to the page that asked them to confirm it."""
    if is_from_elsewhere(request):
        return redirect("admin:login")
    if request.user.is_authenticated:
        request.session[BACK] = request.GET.get("next", "")
    try:
        return openid.redirect_to_provider(request, "staff_logged_in")
    except NotProven as failure:
        return _refuse(request, failure)


@available_if(lambda: settings.OIDC_STAFF_CLAIM)
def staff_logged_in(request: HttpRequest) -> HttpResponse:
    """Log in a staff member who comes back from the identity provider, with the roles that it names."""
    try:
        claims = openid.read_claims(request, "staff_logged_in")
        user = staff.update_or_create_user(claims)
    except NotProven as failure:
        return _refuse(request, failure)
    back = request.session.get(BACK, "")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session.pop(BACK, None)
    if at := staff.authenticated_at(claims):
        record_authentication(request, at)
    elif back:
        messages.error(request, staff.NOT_SAID)
    return redirect(page_or_index(back))


def _refuse(request: HttpRequest, failure: NotProven) -> HttpResponse:
    messages.error(request, str(failure.text))
    return redirect("admin:login")
