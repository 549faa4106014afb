"""Logging in with a second step: a code that changes every half minute (TOTP, RFC 6238). Staff choose it themselves."""

from __future__ import annotations

from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.safestring import mark_safe
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site.turns import Busy, turn


def _code_field(**options: Any) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "inputmode": "numeric", "pattern": "[0-9]*", "maxlength": "6"}
    return forms.CharField(widget=forms.TextInput(attrs=attributes), **options)


def is_from_identity_provider(user: Any) -> bool:
    """Whether this user is known by the identity provider's word, which alone lets them in and locks them out."""
    return hasattr(user, "identity")  # The relation is the page's, which this package does not know.


class LogInForm(AdminAuthenticationForm):
    """Asks who has set up the second step for a code too."""

    code = _code_field(label="Code from your app, if you use one", required=False)

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if is_from_identity_provider(user):
            raise self.get_invalid_login_error()

    def clean(self) -> dict[str, Any]:
        try:
            with turn():
                cleaned: dict[str, Any] = super().clean()
        except Busy:
            raise ValidationError("Many people are logging in. Try again in a few seconds.", code="busy") from None
        user = self.get_user()
        if user and not _accepts(user.pk, cleaned["code"]):
            raise ValidationError("Enter the code that your app shows now, and your password again.", code="code")
        return cleaned


class CodeForm(forms.Form):
    code = _code_field(label="Code that your app shows")

    def __init__(self, device: TOTPDevice, data: Any) -> None:
        super().__init__(data)
        self.device = device

    def clean_code(self) -> None:
        if not self.device.verify_token(self.cleaned_data["code"]):
            raise ValidationError("This is not the code that it shows now. Wait a moment and enter the next one.")


def _accepts(user_id: int, code: str) -> bool:
    """Whether the code is right, or none is needed. One code is good once, and guesses are slowed down."""
    with transaction.atomic():
        devices = TOTPDevice.objects.select_for_update().filter(user=user_id, confirmed=True)
        return not devices or any(device.verify_token(code) for device in devices)


def two_factor(request: HttpRequest) -> HttpResponse:
    """Set the second step up, or give it up: both only with a code from the app, which proves that it works.

    Who has no password here has no log-in here either that could have a second step: that is the identity provider's.
    """
    if not request.user.has_usable_password():  # type: ignore[union-attr]  # Nobody comes here anonymously.
        context = {"title": "Two-factor authentication", "elsewhere": True}
        return TemplateResponse(request, "admin/two_factor.html", admin.site.each_context(request) | context)
    device, _new = TOTPDevice.objects.get_or_create(user=request.user, defaults={"name": "TOTP", "confirmed": False})
    form = CodeForm(device, request.POST or None)
    if form.is_valid():
        if device.confirmed:
            device.delete()
            messages.success(request, "From now on your password is enough to log in.")
        else:
            device.confirmed = True
            device.save()
            messages.success(request, "From now on you log in with your password and a code.")
        return redirect("admin:index")
    context = {"title": "Two-factor authentication", "device": device, "form": form}
    if not device.confirmed:
        context |= {"qr_code": _drawn(device.config_url), "key": device.config_url.split("secret=")[1].split("&")[0]}
    return TemplateResponse(request, "admin/two_factor.html", admin.site.each_context(request) | context)


def _drawn(url: str) -> str:
    return mark_safe(segno.make(url).svg_inline(scale=5, border=2))  # noqa: S308
