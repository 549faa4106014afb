"""The view of a brand's logo."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from signup.brand.models import LOGOS, Brand

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
    for name in LOGOS:
        found = Brand.objects.filter(**{f"{name}_digest": digest}).values_list(name, f"{name}_type").first()
        if found:
            return HttpResponse(bytes(found[0]), content_type=found[1], headers={"Content-Security-Policy": POLICY})
    raise Http404
