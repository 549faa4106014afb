"""The ways to log in, in every template."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def login_options(request: HttpRequest) -> dict[str, object]:
    """Give templates what is set of each way to log in; empty if there is no such way."""
    return {
        "by_openid": settings.OIDC_ISSUER,
        "by_link": settings.SIGNUP_LINK_URL,
        "staff_by_openid": settings.OIDC_STAFF_CLAIM,
    }
