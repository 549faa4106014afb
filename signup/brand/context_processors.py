"""The brand in every template."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from signup.brand.models import Brand, brand_at


def brand(request: HttpRequest) -> dict[str, object]:
    """Give templates `brand`, the brand of the request's host. A page that doesn't use it costs no query."""
    return {"brand": SimpleLazyObject(lambda: brand_of(request))}


def brand_of(request: HttpRequest) -> Brand:
    """Return the brand of the request's host, the same object for the whole request."""
    if not hasattr(request, "_brand"):
        request._brand = _read_brand(request)  # type: ignore[attr-defined]
    return request._brand  # type: ignore[attr-defined, no-any-return]


def forget_brand(request: HttpRequest) -> None:
    """Let `brand_of` read the brand again, because another process has changed it meanwhile."""
    del request._brand  # type: ignore[attr-defined]


def _read_brand(request: HttpRequest) -> Brand:
    try:
        return brand_at(request.get_host())
    except DisallowedHost:  # The page that says so needs a brand too.
        return brand_at("")
