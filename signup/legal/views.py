"""The page of a legal text that is kept here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from signup.brand.context_processors import brand_of
from signup.legal.models import LegalText


@require_safe
def legal_text(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a published text of this host's brand. Earlier versions stay, for those who agreed to them."""
    published = LegalText.objects.filter(brand=brand_of(request).pk, published_at__isnull=False).exclude(text="")
    return render(request, "signup/legal_text.html", {"text": get_object_or_404(published, pk=pk)})
