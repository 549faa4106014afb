"""What staff see of each other's second factors, and who deletes one whose phone is lost."""

from base64 import b32encode
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

PAGE = "/admin/otp_totp/totpdevice/{}/"


@pytest.fixture
def phone(colleague: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=colleague, name="Authenticator app", confirmed=True)


def test_an_administrator_deletes_a_lost_second_factor(administrator: Client, phone: TOTPDevice) -> None:
    page = f"{PAGE.format(phone.pk)}delete/"
    assert "Delete authenticator app</button>" in administrator.get(page).content.decode()
    administrator.post(page, {"post": "yes"})
    assert not TOTPDevice.objects.exists()


def test_an_operator_deletes_none(as_role: Callable[[str], Client], phone: TOTPDevice) -> None:
    assert as_role("Operator").post(f"{PAGE.format(phone.pk)}delete/", {"post": "yes"}).status_code == 403
    assert TOTPDevice.objects.get() == phone


def test_its_key_is_not_shown(administrator: Client, phone: TOTPDevice) -> None:
    page = administrator.get(f"{PAGE.format(phone.pk)}change/").content.decode()
    assert "colleague" in page
    assert phone.key not in page
    assert b32encode(phone.bin_key).decode() not in page


def test_a_superusers_second_factor_is_out_of_reach(administrator: Client, superuser: User) -> None:
    phone = TOTPDevice.objects.create(user=superuser, name="Authenticator app", confirmed=True)
    administrator.post(f"{PAGE.format(phone.pk)}delete/", {"post": "yes"})
    assert TOTPDevice.objects.get() == phone
