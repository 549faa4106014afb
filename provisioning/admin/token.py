"""The page that reveals an access token: a key to the customer's account, good for ten years."""

from __future__ import annotations

from django import forms
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from provisioning.admin.action_views import page, require_permissions
from provisioning.admin_site import record
from provisioning.models import Account
from provisioning.sealed import CannotOpen


class PasswordForm(forms.Form):
    """Asks staff for their password again: an unattended browser must not give a token away."""

    password = forms.CharField(
        label="Your own password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST or None)
        self.request = request

    def clean_password(self) -> None:
        """By the way of the log-in, so that guessing is stopped here as it is there."""
        user = self.request.user
        password = self.cleaned_data["password"]
        if authenticate(self.request, username=user.get_username(), password=password) != user:
            raise ValidationError("This is not your password.")


@sensitive_post_parameters("password")
@sensitive_variables("token")
def token(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the access token to who may see it and has just proven who they are, and record that."""
    require_permissions(request, "provisioning.reveal_oauth2_token")
    account = get_object_or_404(Account, pk=pk)
    if not account.oauth2_token:
        raise Http404
    form, token = PasswordForm(request), ""
    if form.is_valid():
        try:
            token = account.oauth2_token.open()
        except CannotOpen as problem:
            form.add_error(None, str(problem))
        else:
            record(request, account, "Access token shown")
    return page(request, "token", account, title="Access token", form=form, token=token)
