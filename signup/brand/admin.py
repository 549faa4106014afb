"""The admin for brands, with a preview of the sign-up page."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from csp.decorators import csp_replace, csp_update
from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminFileWidget
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from provisioning.admin.readonly import ModelAdmin
from signup.brand.colors import DARK_CARD, LIGHT_PAGE
from signup.brand.logo import BOX, MOST_BYTES, NO_LOGO, read
from signup.brand.models import Brand
from signup.form_page import context
from signup.forms import SignupForm

if TYPE_CHECKING:
    BrandModelForm = forms.ModelForm[Brand]
else:
    BrandModelForm = forms.ModelForm


class CurrentLogo:
    """The present logo, as a file field shows it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return "the logo that customers see"


class BrandForm(BrandModelForm):
    file = forms.FileField(
        label="Logo",
        required=False,
        widget=AdminFileWidget(attrs={"accept": ".svg,.png,.webp,.jpg,.jpeg"}),
        help_text=f"SVG, PNG, WebP, or JPEG, up to {MOST_BYTES // 1000} KB. "
        f"Shown at up to {BOX[0]} by {BOX[1]} pixels; an image of twice that size is sharp on every screen.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.logo_url:
            self.fields["file"].initial = CurrentLogo(self.instance.logo_url)

    def clean_file(self) -> None:
        file = self.cleaned_data["file"]
        if isinstance(file, UploadedFile):
            file.seek(0)
            self.instance.set_logo(read(file.read()))
        elif file is False:
            self.instance.set_logo(NO_LOGO)


@admin.register(Brand)
class BrandAdmin(ModelAdmin):
    form = BrandForm
    list_display = ("name", "shown_at")
    readonly_fields = ("swatches",)
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    fieldsets = (
        (None, {"fields": ("name", "host")}),
        ("Look", {"fields": ("file", "color", "swatches", "headline", "selling_points", "trial_days")}),
        (
            "Links",
            {"fields": ("terms_url", "privacy_url", "support_url", "support_email", "sender_email", "login_url")},
        ),
    )

    @admin.display(description="host name", ordering="host")
    def shown_at(self, brand: Brand) -> str:
        return brand.host or "all other hosts"

    @admin.display(description="color preview")
    def swatches(self, brand: Brand) -> SafeString | str:
        """Show the color and its readable shades: a button, and links in light and dark mode."""
        if not (shades := brand.shades):
            return ""
        samples = (
            (shades["accent"], shades["on-accent"], "Button"),
            ("#{:02x}{:02x}{:02x}".format(*LIGHT_PAGE), shades["link-on-light"], "Link"),
            ("#{:02x}{:02x}{:02x}".format(*DARK_CARD), shades["link-on-dark"], "Link in dark mode"),
        )
        return format_html_join(
            " ",
            '<svg class="swatch" width="136" height="36" role="img" aria-label="{}: {}"><rect width="136" height="36"'
            ' rx="6" fill="{}"/><text x="68" y="23" text-anchor="middle" fill="{}">{}</text></svg>',
            ((name, text, ground, text, name) for ground, text, name in samples),
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Start a new brand with the values of the settings."""
        return model_to_dict(Brand.from_settings()) | super().get_changeform_initial_data(request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if "_preview" in request.POST and (brand := self._unsaved_brand(request, object_id)):
            return self.preview(request, brand)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _unsaved_brand(self, request: HttpRequest, object_id: str | None) -> Brand | None:
        """Return the unsaved brand of the form; None if the form has errors or the user lacks the permission."""
        brand = self.get_object(request, unquote(object_id)) if object_id else Brand()
        may = self.has_change_permission(request, brand) if object_id else self.has_add_permission(request)
        if brand is None or not may:
            return None
        form = self.get_form(request, brand, change=bool(object_id))(request.POST, request.FILES, instance=brand)
        return brand if form.is_valid() else None

    # An image that is not stored yet has no URL, and nobody should sign up from a preview.
    @method_decorator([csp_update({"img-src": ["data:"]}), csp_replace({"form-action": ["'none'"]})])
    def preview(self, request: HttpRequest, brand: Brand) -> HttpResponse:
        """Render the sign-up page as customers would see it with this brand."""
        if brand.logo:
            brand.logo_url = f"data:{brand.logo_type};base64,{b64encode(bytes(brand.logo)).decode()}"
        return render(request, "admin/signup/brand/preview.html", {"brand": brand, **context(SignupForm())})
