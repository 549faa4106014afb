from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site import sessions
from tests.provisioning.admin.conftest import STAFF_PASSWORD, admin_client, as_role, make, nothing_cached, quick_pages

__all__ = ["admin_client", "as_role", "make", "nothing_cached", "quick_pages"]

Passes = Callable[[timedelta], None]
LOG_IN = "/admin/login/?next=/admin/"


@pytest.fixture
def staff(db: None) -> None:
    """Create the users ana and ben, who log in with STAFF_PASSWORD."""
    for name in ("ana", "ben"):
        User.objects.create_user(name, password=STAFF_PASSWORD, is_staff=True)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Return a function that advances the clock, which is stopped from then on."""
    moved, start = timedelta(), timezone.now()

    def on(time: timedelta) -> None:
        nonlocal moved
        moved += time
        for module in (timezone, sessions):
            monkeypatch.setattr(module, "now", lambda: start + moved)

    return on


def is_in(client: Client) -> bool:
    """Whether this client is logged in to the admin."""
    response: Any = client.get("/admin/")
    assert response.status_code == 200 or response.headers["Location"] == LOG_IN
    return bool(response.status_code == 200)


def log_in(client: Client, username: str, password: str) -> Any:
    return client.post(LOG_IN, {"username": username, "password": password})


def code_of(device: TOTPDevice) -> str:
    """Return the code that the app shows now."""
    return f"{totp(device.bin_key):06}"
