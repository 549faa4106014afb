"""The way back in for somebody who lost their phone, even the only administrator."""

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.models import StaffSession
from tests.provisioning.admin.conftest import quick_pages

__all__ = ["quick_pages"]

pytestmark = pytest.mark.django_db

PASSWORD = "canary-dora-desk-1"


def log_in(client: Client, **code: str) -> int:
    form = {"username": "dora", "password": PASSWORD, "next": "/admin/"} | code
    return client.post("/admin/login/", form).status_code


def test_the_password_is_enough_after_the_second_factor_was_removed(client: Client) -> None:
    dora = User.objects.create_superuser("dora", password=PASSWORD)
    TOTPDevice.objects.create(user=dora, confirmed=True)
    client.force_login(dora)
    assert client.get("/admin/").status_code == 200
    assert log_in(Client()) == 200  # Asked for a code.

    call_command("remove_two_factor", "dora")

    assert not StaffSession.objects.exists()
    assert client.get("/admin/").status_code == 302
    assert log_in(Client()) == 302


def test_a_username_that_nobody_has_is_an_error() -> None:
    with pytest.raises(CommandError, match="No staff member"):
        call_command("remove_two_factor", "dora")
