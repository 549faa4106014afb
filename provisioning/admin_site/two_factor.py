"""Two-factor authentication for staff, with codes that change every 30 seconds (TOTP, RFC 6238)."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.safestring import mark_safe
from django.utils.timezone import now
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site.addresses import previous_page
from provisioning.admin_site.identity import accepts, has_second_factor, is_from_identity_provider
from provisioning.admin_site.sessions import ask_to_reauthenticate, end_other_sessions, time_of_login
from provisioning.admin_site.throttling import TooManyLogins, limit_concurrency

log = logging.getLogger(__name__)

WRONG_CODE = "This code is wrong or already used. Wait for the next code and enter it."


def code_field(**options: Any) -> forms.CharField:
    attributes = {"autocomplete": "one-time-code", "inputmode": "numeric", "pattern": "[0-9]*", "maxlength": "6"}
    return forms.CharField(widget=forms.TextInput(attrs=attributes), **options)


class LogInForm(AdminAuthenticationForm):
    """The login form, with a code for users who have a second factor."""

    code = code_field(label="Code from your authenticator app, if you use one", required=False)

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if is_from_identity_provider(user):
            raise self.get_invalid_login_error()

    def clean(self) -> dict[str, Any]:
        try:
            with limit_concurrency(self.request, self.cleaned_data.get("username", "")):  # type: ignore[arg-type]
                cleaned: dict[str, Any] = super().clean()
        except TooManyLogins:
            raise ValidationError(
                "Too many people are logging in right now. Wait a few seconds, then try again.", code="busy"
            ) from None
        user = self.get_user()
        if user and has_second_factor(user) and not accepts(self.request, user, cleaned.get("code", "")):  # type: ignore[arg-type]
            raise ValidationError(
                "Enter your password again, and the code that your authenticator app shows now.", code="code"
            )
        return cleaned


class CodeForm(forms.Form):
    code = code_field(label="Code from your authenticator app")

    def __init__(self, device: TOTPDevice, data: Any) -> None:
        super().__init__(data)
        self.device = device

    def clean_code(self) -> None:
        if not self.device.verify_token(self.cleaned_data["code"]):  # The device throttles guesses.
            raise ValidationError(WRONG_CODE)


def two_factor(request: HttpRequest) -> HttpResponse:
    """Turn two-factor authentication on or off. Both take a code from the app, which proves that the app works.

    Users of the identity provider set it up there.
    """
    if is_from_identity_provider(request.user):
        context = {"title": "Two-factor authentication", "elsewhere": True}
        return TemplateResponse(request, "admin/two_factor.html", admin.site.each_context(request) | context)
    if asked := ask_to_reauthenticate(request):
        return asked
    device = _device_of(request)
    form = CodeForm(device, request.POST or None)
    if form.is_valid():
        _turn_on_or_off(request, device)
        return redirect("admin:sessions")
    title = "Turn off two-factor authentication" if device.confirmed else "Turn on two-factor authentication"
    context = {"title": title, "device": device, "form": form, "previous": previous_page(request)}
    if not device.confirmed:
        context |= {"qr_code": _qr_code(device.config_url), "key": device.config_url.split("secret=")[1].split("&")[0]}
    return TemplateResponse(request, "admin/two_factor.html", admin.site.each_context(request) | context)


def _turn_on_or_off(request: HttpRequest, device: TOTPDevice) -> None:
    """Delete the device if it is in use; use it from now on if it isn't."""
    if device.confirmed:
        TOTPDevice.objects.filter(user=request.user).delete()
        log.info("staff removed their second factor user=%s", request.user.pk)
        messages.success(request, "Two-factor authentication is off. You log in with your password only.")
    elif _confirm(device):
        end_other_sessions(request)  # They began without a code.
        log.info("staff set up a second factor user=%s", request.user.pk)
        messages.success(
            request,
            "Two-factor authentication is on. From now on, you log in with your password and a code. "
            "Your other sessions were ended.",
        )
    else:
        messages.warning(
            request, "Two-factor authentication was already turned on in another window. Use the key from there."
        )


def _device_of(request: HttpRequest) -> TOTPDevice:
    """Return the device in use, or the one to set up.

    Each login gets a key of its own: whoever saw one in another session could compute the codes of the user's app.
    Pages that are opened at the same time get the same one.
    """
    user: Any = request.user
    login = f"set up after {time_of_login(request).isoformat()}"
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        own = TOTPDevice.objects.filter(user=user)
        old = now() - timedelta(hours=settings.STAFF_SESSION_HOURS)
        own.filter(confirmed=False, created_at__lt=old).delete()
        device = own.filter(Q(confirmed=True) | Q(name=login)).order_by("-confirmed", "pk").first()
        return device or TOTPDevice.objects.create(user=user, name=login, confirmed=False)


def _confirm(device: TOTPDevice) -> bool:
    """Use a device from now on, and delete those that other logins began to set up.

    Returns False if another login confirmed its device meanwhile. That one stays in use.
    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=device.user_id)
        own = TOTPDevice.objects.filter(user=device.user)
        is_first = not own.filter(confirmed=True).exists()
        if is_first:
            own.filter(pk=device.pk).update(name="Authenticator app", confirmed=True)
        own.filter(confirmed=False).delete()
    return is_first


def _qr_code(url: str) -> str:
    return mark_safe(segno.make(url).svg_inline(scale=5, border=2))  # noqa: S308
