"""Whose page this is: a brand for each host name, and one for all others."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from signup.brand.models import Brand


def brand_at(host: str) -> Brand:
    """The brand of the pages at a host (a port does not matter)."""
    name, _port = split_domain_port(host)
    own_or_default = Brand.objects.defer("logo").filter(host__in={name, ""}).order_by("-host").first()
    return own_or_default or Brand.from_settings()


def brand(request: HttpRequest) -> dict[str, object]:
    """The context processor that tells every template; a page that does not ask costs no query."""

    def of_page() -> Brand:
        try:
            return brand_at(request.get_host())
        except DisallowedHost:  # The page that says so needs a brand too.
            return brand_at("")

    return {"brand": SimpleLazyObject(of_page)}


@require_safe
@cache_control(public=True, max_age=365 * 24 * 60 * 60, immutable=True)
@gzip_page
def logo(request: HttpRequest, digest: str) -> HttpResponse:
    """A logo; the address names its very content, so it can be kept for ever."""
    brand = Brand.objects.filter(logo_digest=digest).first()
    if brand is None:
        raise Http404
    # Opened by itself it may do nothing but be drawn, whatever got past `svg`.
    alone = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return HttpResponse(bytes(brand.logo), content_type=brand.logo_type, headers={"Content-Security-Policy": alone})
