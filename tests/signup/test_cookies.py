"""Cookies: for this host only, and nobody can read or forge what is in them."""

import base64
import re
import zlib
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as own
from django.contrib.messages import constants
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from signup.cookies import Messages
from signup.sessions import SessionStore
from signup.single_sign_on.pre_login import PreLoginSession
from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.signup.accounts import TYPED, account

pytestmark = pytest.mark.django_db


@pytest.fixture
def cookies(client: Client, settings: Settings, django_user_model: Any) -> Any:
    """Return all cookies after visits by customers without and with single sign-on, and by staff."""
    client.post("/", TYPED)
    settings.CONSTANT_CONTACT_IDP_PROVIDER, settings.SIGNUP_LINK_KEY = "partner", "k" * 32
    django_user_model.objects.create_superuser("dora", password=STAFF_PASSWORD)
    client.get("/")
    client.post("/", TYPED)
    client.post("/language/", {"language": "fr"})
    client.post("/admin/login/", {"username": "dora", "password": STAFF_PASSWORD})
    held = account("held")
    client.post(f"/admin/provisioning/account/{held.pk}/approve/", {"sure": "yes"})
    return client.cookies


def test_each_is_for_this_host_and_https_only(cookies: Any) -> None:
    kinds = {"sessionid", "accounts", "csrftoken", "language", "carried", "known-browser", "messages"}
    assert set(cookies) == {f"__Host-{kind}" for kind in kinds}
    for cookie in cookies.values():
        assert cookie["secure"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"
        assert not cookie["domain"]


def test_no_personal_data_can_be_read_in_them(cookies: Any) -> None:
    readable = b" ".join(_decoded(cookie.value) for cookie in cookies.values()).decode(errors="replace")
    for value in (TYPED["email"], TYPED["last_name"], TYPED["organization_name"]):
        assert value not in readable


def _decoded(value: str) -> bytes:
    """Return the value, with everything in it that is base64, compressed or not."""
    found = [value.encode()]
    for part in re.split(r"[:.]", value):
        try:
            found.append(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            found.append(zlib.decompress(found[-1]))
        except (ValueError, zlib.error):
            continue
    return b" ".join(found)


class TestMessages:
    def storage(self, value: str = "") -> Messages:
        request = RequestFactory().get("/")
        request.session = SessionStore()
        request.COOKIES[own.MESSAGES_COOKIE_NAME] = value
        return Messages(request)

    def shown(self, value: str) -> list[str]:
        return [str(message) for message in self.storage(value)]

    def test_are_read_back_unchanged(self) -> None:
        response = HttpResponse()
        storage = self.storage()
        storage.add(constants.INFO, "Anna's Bakery: approved.")
        storage.update(response)
        assert self.shown(response.cookies[own.MESSAGES_COOKIE_NAME].value) == ["Anna's Bakery: approved."]

    @pytest.mark.parametrize("forged", ["nonsense", "gAAAAA", "a:b:c", "é"])
    def test_that_are_forged_are_ignored(self, forged: str) -> None:
        assert self.shown(forged) == []

    def test_of_another_cookie_are_ignored(self) -> None:
        session = PreLoginSession()
        session["state"] = "x"
        session.save()
        assert self.shown(str(session.session_key)) == []


def test_a_removed_key_opens_nothing(settings: Settings) -> None:
    session = PreLoginSession()
    session["state"] = "x"
    session.save()
    assert PreLoginSession(session.session_key)["state"] == "x"
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    assert not PreLoginSession(session.session_key).items()
