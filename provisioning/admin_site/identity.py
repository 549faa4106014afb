"""How staff authenticate: through the identity provider, or with a password and a second factor."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site.throttling import count_failure


def is_from_identity_provider(user: Any) -> bool:
    """Whether this user can log in only through the identity provider."""
    return hasattr(user, "identity")  # The relation belongs to `signup`, which this package can't import.


def has_second_factor(user: Any) -> bool:
    """Whether this user needs a code to log in."""
    confirmed: bool = TOTPDevice.objects.filter(user=user.pk, confirmed=True).exists()
    return confirmed


def accepts(request: HttpRequest, user: Any, code: str) -> bool:
    """Whether the code is right. It works once. A wrong or missing code counts like a wrong password."""
    with transaction.atomic():
        devices = TOTPDevice.objects.select_for_update().filter(user=user.pk, confirmed=True)
        right = bool(code) and any(device.verify_token(code) for device in devices)
    if not right:
        count_failure(request, user.get_username())
    return right
