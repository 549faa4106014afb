"""Two-factor authentication: setting it up, logging in with it, and turning it off."""

import re
from base64 import b32encode
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.provisioning.admin_site.conftest import LOG_IN, code_of, is_in, log_in
from tests.provisioning.work import at_once

pytestmark = pytest.mark.usefixtures("staff")

TWO_FACTOR = "/admin/two-factor/"


@pytest.fixture
def phone(client: Client, staff: None) -> TOTPDevice:
    """Return the app of a user who has just set up two-factor authentication and logged out."""
    client.force_login(User.objects.get(username="ana"))
    client.get(TWO_FACTOR)
    device = TOTPDevice.objects.get()
    assert client.post(TWO_FACTOR, {"code": code_of(device)}).status_code == 302
    client.logout()
    TOTPDevice.objects.update(last_t=-1)  # As if half a minute had passed: each code works once.
    return TOTPDevice.objects.get()


def with_code(client: Client, code: str) -> Any:
    return client.post(LOG_IN, {"username": "ana", "password": STAFF_PASSWORD, "code": code})


def test_with_two_factor_authentication_the_password_is_not_enough(client: Client, phone: TOTPDevice) -> None:
    for wrong in ("", "000000", "abc"):
        assert with_code(client, wrong).status_code == 200
    assert "_auth_user_id" not in client.session


def test_with_two_factor_authentication_password_and_code_are_enough(client: Client, phone: TOTPDevice) -> None:
    assert with_code(client, code_of(phone)).status_code == 302


def test_a_code_works_once(client: Client, phone: TOTPDevice) -> None:
    with_code(client, code_of(phone))
    client.logout()
    assert with_code(client, code_of(phone)).status_code == 200


def test_users_without_two_factor_authentication_need_no_code(client: Client, phone: TOTPDevice) -> None:
    assert log_in(client, "ben", STAFF_PASSWORD).status_code == 302


def test_a_key_is_not_required_before_a_code_confirmed_it(client: Client) -> None:
    client.force_login(User.objects.get(username="ana"))
    page = client.get(TWO_FACTOR)
    assert "<svg" in page.content.decode()
    assert client.post(TWO_FACTOR, {"code": "000000"}).status_code == 200
    client.logout()
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 302


def key_on(page: Any) -> str:
    found = re.search(r"<code>(\w{32})</code>", page.content.decode())
    assert found
    return found[1]


def test_a_key_to_set_up_belongs_to_one_login(client: Client) -> None:
    """Whoever saw one before, in a session of their own, can't compute the codes of the user's app."""
    thief = Client()
    for each in (thief, client):
        log_in(each, "ana", STAFF_PASSWORD)
    seen, own = key_on(thief.get(TWO_FACTOR)), key_on(client.get(TWO_FACTOR))
    assert seen != own
    assert own == key_on(client.get(TWO_FACTOR)) == key_on(client.post(TWO_FACTOR, {"code": "000000"}))
    client.logout()
    log_in(client, "ana", STAFF_PASSWORD)
    assert key_on(client.get(TWO_FACTOR)) not in {seen, own}


def test_once_a_key_is_confirmed_the_others_are_gone(client: Client) -> None:
    thief = Client()
    for each in (thief, client):
        log_in(each, "ana", STAFF_PASSWORD)
        each.get(TWO_FACTOR)
    seen, own = TOTPDevice.objects.order_by("pk")

    assert client.post(TWO_FACTOR, {"code": code_of(own)}).status_code == 302

    assert [(device.pk, device.confirmed) for device in TOTPDevice.objects.all()] == [(own.pk, True)]
    assert thief.post(TWO_FACTOR, {"code": code_of(seen)}).status_code == 302
    assert not is_in(thief)
    assert TOTPDevice.objects.get() == own


def test_of_two_keys_confirmed_at_once_the_first_counts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Client()
    for each in (other, client):
        log_in(each, "ana", STAFF_PASSWORD)
        each.get(TWO_FACTOR)
    first, second = TOTPDevice.objects.order_by("pk")
    verify = TOTPDevice.verify_token

    def verify_while_the_other_confirms(device: TOTPDevice, token: str) -> bool:
        if device == second:
            other.post(TWO_FACTOR, {"code": code_of(first)})
        verified: bool = verify(device, token)
        return verified

    monkeypatch.setattr(TOTPDevice, "verify_token", verify_while_the_other_confirms)
    page = client.post(TWO_FACTOR, {"code": code_of(second)}, follow=True).content.decode()

    assert "was already turned on in another window" in page
    assert [(device.pk, device.confirmed) for device in TOTPDevice.objects.all()] == [(first.pk, True)]


def test_keys_that_nobody_can_confirm_any_more_are_deleted(client: Client) -> None:
    log_in(client, "ana", STAFF_PASSWORD)
    client.get(TWO_FACTOR)
    TOTPDevice.objects.update(created_at=now() - timedelta(hours=13))
    old = TOTPDevice.objects.get()
    client.logout()
    log_in(client, "ana", STAFF_PASSWORD)

    client.get(TWO_FACTOR)

    assert TOTPDevice.objects.get() != old


def test_the_key_is_shown_only_until_it_is_confirmed(client: Client, phone: TOTPDevice) -> None:
    with_code(client, code_of(phone))
    page = client.get(TWO_FACTOR).content.decode()
    assert "<svg width" not in page
    assert b32encode(phone.bin_key).decode() not in page


def test_turning_off_two_factor_authentication_needs_a_code(client: Client, phone: TOTPDevice) -> None:
    with_code(client, code_of(phone))
    TOTPDevice.objects.update(last_t=-1)
    client.post(TWO_FACTOR, {"code": ""})
    assert TOTPDevice.objects.exists()
    client.post(TWO_FACTOR, {"code": code_of(phone)})
    assert not TOTPDevice.objects.exists()


def test_two_keys_made_at_once_are_not_an_error(client: Client) -> None:
    user = User.objects.get(username="ana")
    client.force_login(user)
    for confirmed in (False, True, False):
        TOTPDevice.objects.create(user=user, name="TOTP", confirmed=confirmed)

    assert "Turn off two-factor authentication" in client.get(TWO_FACTOR).content.decode()
    client.post(TWO_FACTOR, {"code": code_of(TOTPDevice.objects.get(confirmed=True))})

    assert not TOTPDevice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_pages_opened_at_once_show_one_key(client: Client) -> None:
    client.force_login(User.objects.get(username="ana"))
    client.get("/admin/")

    def open_page(number: int) -> int:
        browser = Client()
        browser.cookies = copy(client.cookies)
        return browser.get(TWO_FACTOR).status_code

    assert at_once(8, open_page) == [200] * 8
    assert TOTPDevice.objects.count() == 1
