"""The view of a brand's logo."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from signup.brand.models import Brand

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    )
)
"""The policy for a logo that is opened on its own. It can only be drawn, even if something gets past `svg`."""


@require_safe
@cache_control(public=True, max_age=365 * 24 * 60 * 60, immutable=True)
@gzip_page
def logo(request: HttpRequest, digest: str) -> HttpResponse:
    """Serve a logo. The URL names its content by digest, so browsers can keep it forever."""
    brand = Brand.objects.filter(logo_digest=digest).first()
    if brand is None:
        raise Http404
    return HttpResponse(bytes(brand.logo), content_type=brand.logo_type, headers={"Content-Security-Policy": POLICY})
