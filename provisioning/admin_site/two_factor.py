"""Logging in with a second step: a code that changes every half minute (TOTP, RFC 6238). Staff choose it themselves."""

from __future__ import annotations

import logging
from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.safestring import mark_safe
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site.identity import accepts, has_second_factor, is_from_identity_provider
from provisioning.admin_site.sessions import ask_for_proof

log = logging.getLogger(__name__)


def code_field(**options: Any) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "inputmode": "numeric", "pattern": "[0-9]*", "maxlength": "6"}
    return forms.CharField(widget=forms.TextInput(attrs=attributes), **options)


class LogInForm(AdminAuthenticationForm):
    """Asks whoever has set up a second factor for a code too."""

    code = code_field(label="Code from your app, if you use one", required=False)

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if is_from_identity_provider(user):
            raise self.get_invalid_login_error()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        if user and has_second_factor(user) and not accepts(self.request, user, cleaned.get("code", "")):  # type: ignore[arg-type]
            raise ValidationError("Enter the code that your app shows now, and your password again.", code="code")
        return cleaned


class CodeForm(forms.Form):
    code = code_field(label="Code that your app shows")

    def __init__(self, device: TOTPDevice, data: Any) -> None:
        super().__init__(data)
        self.device = device

    def clean_code(self) -> None:
        if not self.device.verify_token(self.cleaned_data["code"]):  # It slows guesses down by itself.
            raise ValidationError("This is not the code that it shows now. Wait a moment and enter the next one.")


def two_factor(request: HttpRequest) -> HttpResponse:
    """Set up a second factor, or remove it: both only with a code from the app, which proves that it works.

    Whoever logs in through the identity provider has their second factor there.
    """
    if is_from_identity_provider(request.user):
        context = {"title": "Two-factor authentication", "elsewhere": True}
        return TemplateResponse(request, "admin/two_factor.html", admin.site.each_context(request) | context)
    if asked := ask_for_proof(request):
        return asked
    device, _new = TOTPDevice.objects.get_or_create(user=request.user, defaults={"name": "TOTP", "confirmed": False})
    form = CodeForm(device, request.POST or None)
    if form.is_valid():
        if device.confirmed:
            device.delete()
            log.info("staff removed their second factor user=%s", request.user.pk)
            messages.success(request, "From now on your password is enough to log in.")
        else:
            device.confirmed = True
            device.save()
            log.info("staff set up a second factor user=%s", request.user.pk)
            messages.success(request, "From now on you log in with your password and a code.")
        return redirect("admin:sessions")  # To end those that began without it.
    context = {"title": "Two-factor authentication", "device": device, "form": form}
    if not device.confirmed:
        context |= {"qr_code": _drawn(device.config_url), "key": device.config_url.split("secret=")[1].split("&")[0]}
    return TemplateResponse(request, "admin/two_factor.html", admin.site.each_context(request) | context)


def _drawn(url: str) -> str:
    return mark_safe(segno.make(url).svg_inline(scale=5, border=2))  # noqa: S308
