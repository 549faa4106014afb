"""Explanations, for the customer and the operator, of why Django refused a form as possibly forged."""

from __future__ import annotations

import logging

from django.http import HttpRequest
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.utils.translation import gettext as _

log = logging.getLogger(__name__)

HIDDEN = "null"
"""The origin that a browser sends when a policy or an extension hides the real one (RFC 6454, section 7.1)."""


def explain(request: HttpRequest, reason: str) -> str:
    """Return what really failed and what the customer can do. If the operator can help, the log says how."""
    origin = request.headers.get("Origin") or request.headers.get("Referer")
    if not may_be_from_elsewhere(reason):
        return _no_cookie() if reason == REASON_NO_CSRF_COOKIE else _old_page()
    own = f"{request.scheme}://{request.META.get('HTTP_HOST', '')}"
    if origin in (None, HIDDEN):
        log.warning("form refused: the browser hides its origin; does a proxy add Referrer-Policy: no-referrer?")
        return _(
            "Nothing has been sent yet: your browser, an extension, or your network hides which page the form comes "
            "from. Please use another browser or network."
        )
    log.warning(
        "form refused: it comes from %r, and this page is %r; see TRUSTED_PROXIES and CSRF_TRUSTED_ORIGINS",
        origin.partition("?")[0],
        own,
    )
    return _(
        "Nothing has been sent yet: the form seems to come from a different page. Please type this page's address into "
        "your browser. If that doesn't help, the problem is on our side; please tell us."
    )


def may_be_from_elsewhere(reason: str) -> bool:
    """Whether Django refused the form because another site may have sent it. If so, all in it may be made up."""
    return reason.startswith(("Origin checking", "Referer checking"))


def _no_cookie() -> str:
    return _("Nothing has been sent yet: your browser did not keep our cookie. Please allow cookies for this page.")


def _old_page() -> str:
    return _("Nothing has been sent yet: this page was open for too long, or comes from an earlier visit.")
