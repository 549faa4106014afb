"""The log says who logged in and out, how, and who changed their password or second factor."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from signup.models import StaffIdentity
from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.provisioning.admin_site.conftest import code_of

Told = Callable[[], list[str]]


@pytest.fixture
def ana(db: None) -> User:
    return User.objects.create_user("ana", password=STAFF_PASSWORD, is_staff=True)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """Return a function that returns the log lines about staff."""
    caplog.set_level(logging.INFO)
    return lambda: [line for line in caplog.messages if line.startswith("staff ")]


def log_in(client: Client, **code: str) -> Any:
    return client.post("/admin/login/", {"username": "ana", "password": STAFF_PASSWORD, **code})


def test_logging_in_with_a_password_and_logging_out(client: Client, ana: User, told: Told) -> None:
    log_in(client)
    client.post("/admin/logout/")
    assert told() == [f"staff logged in user={ana.pk} by=password", f"staff logged out user={ana.pk}"]


def test_logging_in_with_a_code(client: Client, ana: User, told: Told) -> None:
    device = TOTPDevice.objects.create(user=ana, name="TOTP", confirmed=True)
    log_in(client, code=code_of(device))
    assert told() == [f"staff logged in user={ana.pk} by=password and code"]


def test_logging_in_at_the_identity_provider(client: Client, ana: User, told: Told) -> None:
    StaffIdentity.objects.create(user=ana, issuer="https://id.example.com", subject="1")
    client.force_login(ana)
    assert told() == [f"staff logged in user={ana.pk} by=identity provider"]


def test_giving_fresh_proof(client: Client, ana: User, told: Told) -> None:
    client.force_login(ana)
    client.post("/admin/confirm/", {"password": STAFF_PASSWORD})
    assert told()[1:] == [f"staff reauthenticated user={ana.pk}"]


def test_changing_the_password(client: Client, ana: User, told: Told) -> None:
    client.force_login(ana)
    new = "quite-another-word-7"
    client.post("/admin/password_change/", {"old_password": STAFF_PASSWORD, "new_password1": new, "new_password2": new})
    assert told()[1:] == [f"staff changed their password user={ana.pk}"]


def test_setting_up_and_removing_two_factor_authentication(client: Client, ana: User, told: Told) -> None:
    client.force_login(ana)
    client.get("/admin/two-factor/")
    for _ in range(2):
        client.post("/admin/two-factor/", {"code": code_of(TOTPDevice.objects.get())})
        TOTPDevice.objects.update(last_t=-1)
    assert told()[1:] == [
        f"staff set up a second factor user={ana.pk}",
        f"staff removed their second factor user={ana.pk}",
    ]


def test_asking_for_a_page_without_permission(client: Client, ana: User, told: Told) -> None:
    client.force_login(ana)
    client.get("/admin/auth/user/")
    assert told()[1:] == [f"staff refused user={ana.pk} path=/admin/auth/user/"]
