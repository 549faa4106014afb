import re
from base64 import b32encode
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site.throttling import MAX_FAILURES
from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.provisioning.work import at_once

LOG_IN = "/admin/login/?next=/admin/"
AsRole = Callable[[str], Client]


@pytest.fixture(autouse=True)
def staff(db: None) -> None:
    for name in ("ana", "ben"):
        User.objects.create_user(name, password=STAFF_PASSWORD, is_staff=True)


def log_in(client: Client, username: str, password: str) -> Any:
    return client.post(LOG_IN, {"username": username, "password": password})


def test_staff_log_in_with_their_password(client: Client) -> None:
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 302


def test_guessing_passwords_is_stopped(client: Client) -> None:
    for _ in range(MAX_FAILURES - 1):
        assert log_in(client, "ana", "guess").status_code == 200
    response = log_in(client, "ana", "guess")
    assert response.status_code == 429
    assert "Too many failed logins" in response.content.decode()
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 429


def test_other_users_are_not_locked_out_with_the_guessed_one(client: Client) -> None:
    for _ in range(MAX_FAILURES):
        log_in(client, "ana", "guess")
    assert log_in(client, "ben", STAFF_PASSWORD).status_code == 302


def test_staff_are_not_locked_out_by_guesses_from_elsewhere(client: Client) -> None:
    for _ in range(MAX_FAILURES):
        log_in(Client(REMOTE_ADDR="203.0.113.9"), "ana", "guess")
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 302


GUESSES = {
    "/admin/confirm/": {"password": "guess"},
    "/admin/password_change/": {"old_password": "guess", "new_password1": "another-1", "new_password2": "another-1"},
}


@pytest.mark.parametrize("page", GUESSES)
def test_guessing_is_stopped_wherever_a_password_is_asked_for(client: Client, page: str) -> None:
    client.force_login(User.objects.get(username="ana"))
    for _ in range(MAX_FAILURES):
        response = client.post(page, GUESSES[page])
    assert response.status_code == 429
    right = dict.fromkeys(("password", "old_password"), STAFF_PASSWORD)
    assert client.post(page, GUESSES[page] | right).status_code == 429
    assert User.objects.get(username="ana").check_password(STAFF_PASSWORD)


TWO_STEP = "/admin/two-factor/"


def code_of(device: TOTPDevice) -> str:
    """Return the code that the app shows now."""
    return f"{totp(device.bin_key):06}"


@pytest.fixture
def phone(client: Client) -> TOTPDevice:
    """Return the app of a user who has just set up two-factor authentication and logged out."""
    client.force_login(User.objects.get(username="ana"))
    client.get(TWO_STEP)
    device = TOTPDevice.objects.get()
    assert client.post(TWO_STEP, {"code": code_of(device)}).status_code == 302
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
    page = client.get(TWO_STEP)
    assert "<svg" in page.content.decode()
    assert client.post(TWO_STEP, {"code": "000000"}).status_code == 200
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
    seen, own = key_on(thief.get(TWO_STEP)), key_on(client.get(TWO_STEP))
    assert seen != own
    assert own == key_on(client.get(TWO_STEP)) == key_on(client.post(TWO_STEP, {"code": "000000"}))
    client.logout()
    log_in(client, "ana", STAFF_PASSWORD)
    assert key_on(client.get(TWO_STEP)) not in {seen, own}


def test_once_a_key_is_confirmed_the_others_are_gone(client: Client) -> None:
    thief = Client()
    for each in (thief, client):
        log_in(each, "ana", STAFF_PASSWORD)
        each.get(TWO_STEP)
    seen, own = TOTPDevice.objects.order_by("pk")

    assert client.post(TWO_STEP, {"code": code_of(own)}).status_code == 302

    assert [(device.pk, device.confirmed) for device in TOTPDevice.objects.all()] == [(own.pk, True)]
    assert "Turn off" in thief.post(TWO_STEP, {"code": code_of(seen)}).content.decode()
    assert TOTPDevice.objects.get() == own


def test_of_two_keys_confirmed_at_once_the_first_counts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Client()
    for each in (other, client):
        log_in(each, "ana", STAFF_PASSWORD)
        each.get(TWO_STEP)
    first, second = TOTPDevice.objects.order_by("pk")
    verify = TOTPDevice.verify_token

    def verify_while_the_other_confirms(device: TOTPDevice, token: str) -> bool:
        if device == second:
            other.post(TWO_STEP, {"code": code_of(first)})
        verified: bool = verify(device, token)
        return verified

    monkeypatch.setattr(TOTPDevice, "verify_token", verify_while_the_other_confirms)
    page = client.post(TWO_STEP, {"code": code_of(second)}, follow=True).content.decode()

    assert "was turned on in another window" in page
    assert [(device.pk, device.confirmed) for device in TOTPDevice.objects.all()] == [(first.pk, True)]


def test_keys_that_nobody_can_confirm_any_more_are_deleted(client: Client) -> None:
    log_in(client, "ana", STAFF_PASSWORD)
    client.get(TWO_STEP)
    TOTPDevice.objects.update(created_at=now() - timedelta(hours=13))
    old = TOTPDevice.objects.get()
    client.logout()
    log_in(client, "ana", STAFF_PASSWORD)

    client.get(TWO_STEP)

    assert TOTPDevice.objects.get() != old


def test_the_key_is_shown_only_until_it_is_confirmed(client: Client, phone: TOTPDevice) -> None:
    with_code(client, code_of(phone))
    page = client.get(TWO_STEP).content.decode()
    assert "<svg width" not in page
    assert b32encode(phone.bin_key).decode() not in page


def test_turning_off_two_factor_authentication_needs_a_code(client: Client, phone: TOTPDevice) -> None:
    with_code(client, code_of(phone))
    TOTPDevice.objects.update(last_t=-1)
    client.post(TWO_STEP, {"code": ""})
    assert TOTPDevice.objects.exists()
    client.post(TWO_STEP, {"code": code_of(phone)})
    assert not TOTPDevice.objects.exists()


def test_two_keys_made_at_once_are_not_an_error(client: Client) -> None:
    user = User.objects.get(username="ana")
    client.force_login(user)
    for confirmed in (False, True, False):
        TOTPDevice.objects.create(user=user, name="TOTP", confirmed=confirmed)

    assert "Turn off two-factor authentication" in client.get(TWO_STEP).content.decode()
    client.post(TWO_STEP, {"code": code_of(TOTPDevice.objects.get(confirmed=True))})

    assert not TOTPDevice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_pages_opened_at_once_show_one_key(client: Client) -> None:
    client.force_login(User.objects.get(username="ana"))
    client.get("/admin/")

    def open_page(number: int) -> int:
        browser = Client()
        browser.cookies = copy(client.cookies)
        return browser.get(TWO_STEP).status_code

    assert at_once(8, open_page) == [200] * 8
    assert TOTPDevice.objects.count() == 1


def test_an_administrator_can_reset_a_lost_second_factor(as_role: AsRole, phone: TOTPDevice) -> None:
    page = f"/admin/otp_totp/totpdevice/{phone.pk}/"
    assert as_role("Operator").post(f"{page}delete/", {"post": "yes"}).status_code == 403
    administrator = as_role("Administrator")
    assert b32encode(phone.bin_key).decode() not in administrator.get(f"{page}change/").content.decode()
    assert phone.key not in administrator.get(f"{page}change/").content.decode()
    assert "Delete authenticator app</button>" in administrator.get(f"{page}delete/").content.decode()
    administrator.post(f"{page}delete/", {"post": "yes"})
    assert not TOTPDevice.objects.exists()
