"""The page with the sign-up form: as it was filled in, or blank.

The blank one is what nearly every visitor asks for, and it is the same for all of them but for a few values. So it is
rendered once for each brand and language, with a gap for each of these values, and kept; a visitor's own are put in.
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
from django.utils.translation import get_language

from signup import abuse, kept_password
from signup.brand.context_processors import brand_of
from signup.brand.models import Brand
from signup.forms import SignupForm, new_submission
from signup.single_sign_on import Proof

TEMPLATE = "signup/form.html"
CSRF_TOKEN, SHOWN, NONCE = (secrets.token_hex(16) for _ in range(3))
SUBMISSION = uuid.uuid4()
"""The gaps: nothing that a brand can say is one of them."""


def filled_in(form: SignupForm, request: HttpRequest, status: int, proof: Proof) -> HttpResponse:
    kept_password.settle(request, form)
    return render(request, TEMPLATE, context(form) | {"proof": proof}, status=status)


def blank(request: HttpRequest) -> HttpResponse:
    """The form for a visitor of whom nothing is known."""
    brand, submission = brand_of(request), new_submission()
    own = {CSRF_TOKEN: get_token(request), str(SUBMISSION): str(submission)}
    page: str = caches["pages"].get_or_set(f"{brand.digest()}-{get_language()}", lambda: _with_gaps(brand))  # type: ignore[assignment]
    if SHOWN in page:
        own[SHOWN] = abuse.stamp(submission)
    if NONCE in page:
        own[NONCE] = str(request.csp_nonce)  # type: ignore[attr-defined]  # set by its middleware
    for gap, value in own.items():
        page = page.replace(gap, value)
    return HttpResponse(page)


def context(form: SignupForm) -> dict[str, object]:
    """What the form's template needs besides the brand, and who has proven to be whom."""
    partner_can_log_in = settings.CONSTANT_CONTACT_MANAGED_SITE_OWNER or settings.CONSTANT_CONTACT_SINGLE_BILLING
    return {
        "form": form,
        "guard": abuse.guard(form),
        "partner_can_log_in": partner_can_log_in,
        "reminds": bool(settings.EMAIL_URL),
    }


def _with_gaps(brand: Brand) -> str:
    """The page for a request that nobody has made, so that nothing of any visitor's can be in it."""
    nobody = HttpRequest()
    nobody.path, nobody.csp_nonce = reverse("sign_up"), NONCE  # type: ignore[attr-defined]
    form = SignupForm()
    form.submission = SUBMISSION
    values = context(form) | {"brand": brand, "csrf_token": CSRF_TOKEN}
    if values["guard"]:
        values["guard"] = abuse.Guard(SHOWN)
    return render_to_string(TEMPLATE, values, nobody)
