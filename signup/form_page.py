"""The page with the sign-up form, blank or filled in.

Nearly every visitor asks for the blank one, and only a few values in it differ between visitors. So it is rendered
once for each brand and language, with placeholders for those values, and cached; each visitor's values replace them.
"""

from __future__ import annotations

import secrets
import uuid

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language, override

from provisioning import rules
from signup import attribution, form_guard, kept_password
from signup.brand.context_processors import brand_of
from signup.brand.models import Brand
from signup.forms import SignupForm, new_submission
from signup.single_sign_on import Proof

TEMPLATE = "signup/form.html"
CSRF_TOKEN, SHOWN, ATTRIBUTION, NONCE = (secrets.token_hex(16) for _ in range(4))
SUBMISSION = uuid.uuid4()
"""The placeholders. They are random, so nothing in a brand's texts can match one."""


def filled_in(form: SignupForm, request: HttpRequest, status: int, proof: Proof) -> HttpResponse:
    """Return the page with a form that has values, and what is wrong with them. Keep its password if possible."""
    kept_password.keep_or_ask_again(request, form)
    came_from = attribution.sign(attribution.of_form(request, proof.attribution))
    return render(request, TEMPLATE, context(form) | {"proof": proof, "attribution": came_from}, status=status)


def blank(request: HttpRequest) -> HttpResponse:
    """Return the blank form, for a visitor without a proof of identity."""
    brand, submission = brand_of(request), new_submission()
    came_from = attribution.sign(attribution.of_visit(request))
    own = {CSRF_TOKEN: get_token(request), str(SUBMISSION): str(submission), ATTRIBUTION: came_from}
    cache_key = f"{brand.digest()}-{get_language()}"
    page: str = caches["pages"].get_or_set(cache_key, lambda: _with_placeholders(brand))  # type: ignore[assignment]
    if SHOWN in page:
        own[SHOWN] = form_guard.sign_shown(submission)
    if NONCE in page:
        own[NONCE] = str(request.csp_nonce)  # type: ignore[attr-defined]  # set by its middleware
    for placeholder, value in own.items():
        page = page.replace(placeholder, value)
    return HttpResponse(page)


def warm_up() -> None:
    """Fill the caches that the form needs in each language, before the web server forks: processes share them."""
    for language, _name in settings.LANGUAGES:
        with override(language):
            _with_placeholders(Brand.from_settings())
    rules.is_weak("any but an easy one", {})


def context(form: SignupForm) -> dict[str, object]:
    """Return the context of the form's template, except the brand and the proof of identity."""
    partner_can_log_in = settings.CONSTANT_CONTACT_MANAGED_SITE_OWNER or settings.CONSTANT_CONTACT_SINGLE_BILLING
    return {
        "form": form,
        "guard": form_guard.guard(form),
        "partner_can_log_in": partner_can_log_in,
        "reminds": bool(settings.EMAIL_URL),
    }


def _with_placeholders(brand: Brand) -> str:
    """Render the page for an empty request, so that no visitor's data can be in the cached copy."""
    request = HttpRequest()
    request.path, request.csp_nonce = reverse("sign_up"), NONCE  # type: ignore[attr-defined]
    form = SignupForm(brand=brand)
    form.submission = SUBMISSION
    values = context(form) | {"brand": brand, "csrf_token": CSRF_TOKEN, "attribution": ATTRIBUTION}
    if values["guard"]:
        values["guard"] = form_guard.Guard(SHOWN)
    return render_to_string(TEMPLATE, values, request)
