"""How a form carries where its visitor came from: in one signed hidden field, never in a cookie of its own.

Whatever happens to the field, only the attribution is lost, never the sign-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest

from provisioning.attribution import NAMES, REFERRER, clean
from signup import visitors

FIELD = "attribution"
"""The name of the hidden field, and of the parameter of links within the site."""
NONE: Mapping[str, str] = MappingProxyType({})


def of_form(request: HttpRequest, carried: Mapping[str, str] = NONE) -> dict[str, str]:
    """Return where the visitor with this form came from.

    With single sign-on, `carried` is what was known before the visitor logged in. The site that they come back from is
    the identity provider, so it says nothing.
    """
    if request.method == "POST":
        return _read(request.POST.get(FIELD, "")) or dict(carried)
    found = of_visit(request)
    return found if found.keys() - {REFERRER} else dict(carried)


def of_visit(request: HttpRequest) -> dict[str, str]:
    """Return where a visitor who opens a page comes from, by the page's address and the browser's `Referer`."""
    query = request.GET if request.META.get("QUERY_STRING") else {}
    if FIELD in query:
        return _read(query[FIELD])
    referrer = request.headers.get("Referer", "")
    if not query and not referrer:
        return {}
    named = {name: query[name] for name in NAMES if name in query}
    return clean(named | {REFERRER: _site(referrer, request)})


def sign(attribution: Mapping[str, str]) -> str:
    """Return the value of the hidden field."""
    return _signer().sign_object(dict(attribution), compress=True) if attribution else ""


def _read(signed: str) -> dict[str, str]:
    if not signed:
        return {}
    try:
        return clean(_signer().unsign_object(signed))
    except BadSignature:
        return {}


def _site(referrer: str, request: HttpRequest) -> str:
    """Return the host name of another site that linked here; empty if there was none."""
    try:
        host = urlsplit(referrer).hostname or ""
    except ValueError:
        return ""
    return "" if host == visitors.host_name(request) else host


def _signer() -> Signer:
    # Not at import, where a missing SECRET_KEY would be a traceback instead of a system check's error.
    return Signer(salt="signup.attribution")
