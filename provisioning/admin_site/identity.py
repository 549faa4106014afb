"""What a member of staff is known by at the login: the identity provider's word or a password, and a second factor."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site.guessing import count_failure


def is_from_identity_provider(user: Any) -> bool:
    """Whether this user is known by the identity provider's word, which alone lets them in and locks them out."""
    return hasattr(user, "identity")  # The relation is the page's, which this package does not know.


def has_second_factor(user: Any) -> bool:
    """Whether a code is asked for when this user logs in."""
    confirmed: bool = TOTPDevice.objects.filter(user=user.pk, confirmed=True).exists()
    return confirmed


def accepts(request: HttpRequest, user: Any, code: str) -> bool:
    """Whether the code is right: good once, and a wrong or missing one counts like a wrong password."""
    with transaction.atomic():
        devices = TOTPDevice.objects.select_for_update().filter(user=user.pk, confirmed=True)
        right = bool(code) and any(device.verify_token(code) for device in devices)
    if not right:
        count_failure(request, user.get_username())
    return right
