"""The pages where staff confirm that it's them and change their password. Wrong guesses count as at login."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse_lazy

from provisioning.admin_site.addresses import page_or_index, previous_page
from provisioning.admin_site.identity import accepts, has_second_factor, is_from_identity_provider
from provisioning.admin_site.sessions import record_reauthentication
from provisioning.admin_site.throttling import remember_browser
from provisioning.admin_site.two_factor import WRONG_CODE, code_field

log = logging.getLogger(__name__)


class ReauthenticationForm(forms.Form):
    """Asks for everything a login asks for: the password, and a code if the user has a second factor."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST or None)
        self.request = request
        attributes = {"autocomplete": "current-password", "autofocus": True}
        self.fields["password"] = forms.CharField(
            label="Your password", strip=False, widget=forms.PasswordInput(attrs=attributes)
        )
        if has_second_factor(request.user):
            self.fields["code"] = code_field(label="Code from your authenticator app")

    def clean_password(self) -> None:
        _check_password(self.request, self.cleaned_data["password"])

    def clean_code(self) -> None:
        """Check the code only after the right password, so that a mistyped password doesn't use up a code."""
        if self.errors:
            return
        if not accepts(self.request, self.request.user, self.cleaned_data["code"]):
            raise ValidationError(WRONG_CODE)


class OwnPasswordForm(AdminPasswordChangeForm):
    def __init__(self, *arguments: Any, request: HttpRequest, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.request = request
        self.fields["new_password2"].label = "Confirm password"

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        _check_password(self.request, password)
        return password


class ChangePassword(PasswordChangeView):
    form_class = OwnPasswordForm
    template_name = "admin/password.html"
    title = "Change password"
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        return super().get_context_data(**named) | {"previous": previous_page(self.request)}

    def form_valid(self, form: Any) -> HttpResponse:
        log.info("staff changed their password user=%s", self.request.user.pk)
        response = super().form_valid(form)
        remember_browser(response, form.user)
        return response


def confirm(request: HttpRequest) -> HttpResponse:
    """Ask staff to log in again, and go back to the page that asked for it."""
    back = page_or_index(request.GET.get("next", ""))
    context: dict[str, Any] = {"title": "Confirm it's you", "back": back, "previous": previous_page(request)}
    context |= {"elsewhere": is_from_identity_provider(request.user)}
    if not context["elsewhere"]:
        context["form"] = form = ReauthenticationForm(request)
        if form.is_valid():
            record_reauthentication(request)
            return redirect(back)
    return TemplateResponse(request, "admin/confirm.html", admin.site.each_context(request) | context)


def _check_password(request: HttpRequest, password: str) -> None:
    user = request.user
    if authenticate(request, username=user.get_username(), password=password) != user:
        raise ValidationError("This password is wrong. Try again.")
