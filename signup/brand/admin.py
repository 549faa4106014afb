"""The admin for brands, with a preview of the sign-up page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from csp.decorators import csp_replace, csp_update
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminFileWidget
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language_info
from django.views.decorators.clickjacking import xframe_options_sameorigin

from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.reauthentication import SensitiveFields
from signup.api import keys
from signup.brand.colors import DARK_CARD, LIGHT_PAGE
from signup.brand.logo import BOX, MAX_BYTES, NO_LOGO, read, require_size
from signup.brand.models import LOGOS, Brand, in_each_language
from signup.form_page import context
from signup.forms import SignupForm

LIVE = "live"
"""The preview beside the form, which follows what is typed."""
TEXTS = ("headline", "selling_points")
"""Fields of which there is one for each language."""
HELP = {
    "support_url": "The link Help at the bottom of every page leads there.",
    "terms_url": "The link Terms leads there. Customers don't have to accept it: for that, publish a legal text.",
    "privacy_url": "The link Privacy leads there. For a policy that customers accept, publish a legal text.",
}
"""What the model doesn't say of a field."""
ADDRESSES = tuple(
    field.name for field in Brand._meta.concrete_fields if isinstance(field, models.URLField | models.EmailField)
)
"""Fields that decide where customers turn to, and who writes to them."""
IN_FRAME = {"form-action": ["'none'"], "frame-ancestors": ["'self'"]}


class CurrentLogo:
    """The present logo, as a file field shows it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return "the logo that customers see"


def translations() -> Iterator[tuple[str, Any]]:
    """Yield a group of fields for the texts in each language but English."""
    for columns in zip(*(in_each_language(name)[1:] for name in TEXTS), strict=True):
        code = columns[0].removeprefix(f"{TEXTS[0]}_")
        yield f"Texts in {get_language_info(code)['name']}", {"fields": columns}


def default_currency() -> str:
    """Say which currency applies to a brand without its own."""
    names = dict(Brand.billing_locale.field.choices or ())
    name = names.get(settings.CONSTANT_CONTACT_BILLING_LOCALE, "not set")
    return f"If empty, the setting CONSTANT_CONTACT_BILLING_LOCALE applies, which is {name}."


class LogoField(forms.FileField):
    def __init__(self, **options: Any) -> None:
        widget = AdminFileWidget(attrs={"accept": ".svg,.png,.webp,.jpg,.jpeg"})
        super().__init__(required=False, widget=widget, **options)


class BrandForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    file = LogoField(
        label="Logo",
        help_text=f"Use an SVG, PNG, WebP, or JPEG of up to {MAX_BYTES // 1000} KB. It is shown at up to {BOX[0]} by "
        f"{BOX[1]} pixels; to be sharp on every screen, an image should be twice that size.",
    )
    dark_file = LogoField(label="Logo for dark mode", help_text="Without one, the logo is shown on a white background.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" not in self.fields:
            return  # Staff who may only look at brands fill in nothing.
        for field, url in (("file", self.instance.logo_url), ("dark_file", self.instance.dark_logo_url)):
            if url:
                self.fields[field].initial = CurrentLogo(url)
        for name, text in HELP.items():
            self.fields[name].help_text = text
        self.fields["host"].error_messages["unique"] = "There is already a brand for this. Edit that one instead."
        currency: Any = self.fields["billing_locale"]
        currency.choices = [("", "As in the settings"), *currency.choices[1:]]
        for name in in_each_language("selling_points"):
            self.fields[name].widget.attrs["rows"] = 4
        self.fields["billing_locale"].help_text += f" {default_currency()}"

    def clean_host(self) -> str:
        """Refuse to move the brand under an API key: what a key may see never changes."""
        host: str = self.cleaned_data["host"]
        old = self.instance.host
        is_moved = self.instance.pk and split_domain_port(host)[0] != old
        if is_moved and (bound := ", ".join(map(str, keys.bound_to(old)))):
            raise ValidationError(f"These API keys would see other sign-ups. Revoke them first: {bound}.", code="keys")
        return host

    def clean_file(self) -> None:
        self._set_logo("file", "logo")

    def clean_dark_file(self) -> None:
        self._set_logo("dark_file", "dark_logo")

    def _set_logo(self, field: str, name: str) -> None:
        file = self.cleaned_data[field]
        if isinstance(file, UploadedFile):
            require_size(file.size or 0)
            file.seek(0)
            self.instance.set_logo(read(file.read()), name)
        elif file is False:
            self.instance.set_logo(NO_LOGO, name)


@admin.register(Brand)
class BrandAdmin(ExplainedDeletion, SensitiveFields, ModelAdmin):
    form = BrandForm
    sensitive_fields = ("host", *ADDRESSES)  # The host decides whose sign-ups these are.
    list_display = ("name", "shown_at")
    nothing_yet = "Customers see the brand from the settings. Add one for each of your host names."
    readonly_fields = ("swatches",)
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    fieldsets = (
        (None, {"fields": ("name", "host")}),
        ("Look", {"fields": ("file", "dark_file", "color", "swatches")}),
        ("Texts", {"fields": TEXTS}),
        *translations(),
        ("Trial", {"fields": ("trial_days", "billing_locale", "login_url")}),
        ("Help and email", {"fields": ("support_email", "support_url", "sender_email")}),
        ("Links at the bottom of every page", {"fields": ("terms_url", "privacy_url")}),
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
            '<svg class="swatch" width="152" height="36" role="img" aria-label="{}: {}"><rect width="152" height="36"'
            ' rx="6" fill="{}"/><text x="76" y="23" text-anchor="middle" fill="{}">{}</text></svg>',
            ((name, text, ground, text, name) for ground, text, name in samples),
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Start a new brand with the values of the settings."""
        return model_to_dict(Brand.from_settings()) | super().get_changeform_initial_data(request)

    def consequence(self, obj: Brand) -> str:
        if obj.host:
            return f"Customers at {obj.host} will see the brand for all other hosts, or else the one in the settings."
        return "Customers at hosts without a brand of their own will see the brand in the settings."

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Protect the API keys that would see the sign-ups of a deleted brand."""
        deleted, counts, missing, protected = super().get_deleted_objects(objs, request)
        bound = [str(key) for brand in objs for key in keys.bound_to(brand.host).exclude(brand=brand)]
        return deleted, counts, missing, [*protected, *bound]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if form := self._unsaved(request, object_id):
            if form.is_valid():
                return self.preview(request, form.instance)
            if request.POST["_preview"] == LIVE:
                return self.no_preview(request, form)
        context = {"languages": settings.LANGUAGES, **(extra_context or {})}
        return self.show_form(request, object_id, form_url, context)

    @method_decorator(csp_update({"frame-src": ["'self'"]}))
    def show_form(self, *arguments: Any) -> HttpResponse:
        """Show the form, or save it, in a page that frames previews."""
        return super().changeform_view(*arguments)

    def _unsaved(self, request: HttpRequest, object_id: str | None) -> BrandForm | None:
        """Return the form with the brand to preview; None if there is nothing to preview, or no permission for it."""
        brand = self.get_object(request, unquote(object_id)) if object_id else Brand()
        may = self.has_change_permission(request, brand) if object_id else self.has_add_permission(request)
        if "_preview" not in request.POST or brand is None or not may:
            return None
        # Nothing is saved, so staff need not confirm that it's them.
        form_class: Any = super(SensitiveFields, self).get_form(request, brand, change=bool(object_id))
        form: BrandForm = form_class(request.POST, request.FILES, instance=brand)
        return form

    # An image that is not stored yet has no URL, and nobody should sign up from a preview.
    @method_decorator([xframe_options_sameorigin, csp_update({"img-src": ["data:"]}), csp_replace(IN_FRAME)])
    def preview(self, request: HttpRequest, brand: Brand) -> HttpResponse:
        """Render the sign-up page as customers would see it with this brand."""
        for name in LOGOS:
            if content := bytes(getattr(brand, name)):
                url = f"data:{getattr(brand, f'{name}_type')};base64,{b64encode(content).decode()}"
                setattr(brand, f"{name}_url", url)
        language = request.POST.get("_language", "")
        with translation.override(language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE):
            return render(
                request, "admin/signup/brand/preview.html", {"brand": brand, **context(SignupForm(brand=brand))}
            )

    @method_decorator([xframe_options_sameorigin, csp_replace(IN_FRAME)])
    def no_preview(self, request: HttpRequest, form: BrandForm) -> HttpResponse:
        """Say what has to be fixed before there is a preview."""
        return render(request, "admin/signup/brand/no_preview.html", {"form": form})
