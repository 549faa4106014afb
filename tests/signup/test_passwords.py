"""The password of a form that must be sent again: it is kept, or asked for again."""

import time
import uuid
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from signup.kept_password import LIFETIME
from tests.provisioning.mirror.conftest import entry, read
from tests.signup.accounts import CANARY, TYPED, account

pytestmark = [pytest.mark.django_db, pytest.mark.once]
AGAIN = "Enter your password again."


@pytest.fixture
def typed() -> dict[str, str]:
    return TYPED | {"submission": str(uuid.uuid4())}


@pytest.fixture
def taken(typed: dict[str, str]) -> dict[str, str]:
    """Return a form whose username is taken."""
    account("queued", username=typed["username"])
    return typed


def without_password(form: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name != "password"}


def errors(response: Any) -> dict[str, list[str]]:
    return dict(response.context["form"].errors)


class TestPasswordIsAskedForAgain:
    def test_after_an_error_in_another_field_the_summary_and_the_field_say_so(
        self, client: Client, typed: dict[str, str]
    ) -> None:
        response = client.post("/", typed | {"email": "anna@"})

        page = response.content.decode()
        assert errors(response)["password"] == [AGAIN]
        assert page.count(AGAIN) == 2
        assert '<a href="#id_password">' in page
        assert CANARY not in page

    def test_after_a_change_of_language(self, client: Client, typed: dict[str, str]) -> None:
        page = client.post("/language/", typed | {"language": "fr", "next": "/"}).content.decode()

        assert "Saisissez à nouveau votre mot de passe." in page

    def test_after_a_lost_csrf_cookie(self, typed: dict[str, str]) -> None:
        response = Client(enforce_csrf_checks=True).post("/", typed)

        assert errors(response)["password"] == [AGAIN]

    def test_not_if_it_was_missing_or_invalid_itself(self, client: Client, typed: dict[str, str]) -> None:
        assert errors(client.post("/", typed | {"email": "anna@", "password": ""}))["password"] == [
            "Choose a password."
        ]
        assert AGAIN not in errors(client.post("/", typed | {"email": "anna@", "password": "!"}))["password"]

    def test_not_with_single_sign_on(self, settings: Settings, client: Client, typed: dict[str, str]) -> None:
        settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"

        page = client.post("/language/", typed | {"language": "fr", "next": "/"}).content.decode()

        assert "Saisissez à nouveau" not in page


class TestPasswordIsKept:
    def test_after_a_taken_username_so_one_click_on_a_suggestion_is_enough(
        self, client: Client, taken: dict[str, str]
    ) -> None:
        response = client.post("/", taken)

        page = response.content.decode()
        assert list(errors(response)) == ["username"]
        assert 'name="password"' not in page
        assert "The password you chose is kept." in page
        assert "Choose one to send it right away" in page
        name = response.context["form"].suggestions()[0]

        assert client.post("/", without_password(taken) | {"username": name}).status_code == 302
        assert Account.objects.get(username=name).password.open() == CANARY

    def test_after_a_username_that_only_the_partners_list_shows(self, client: Client, typed: dict[str, str]) -> None:
        read(entry(username=typed["username"]))

        page = client.post("/", typed).content.decode()

        assert "This username is taken" in page
        assert "The password you chose is kept." in page
        assert not Account.objects.exists()

    def test_through_another_mistake(self, client: Client, taken: dict[str, str]) -> None:
        client.post("/", taken)

        response = client.post("/", without_password(taken) | {"username": "anna-smith", "phone": "1"})

        assert list(errors(response)) == ["phone"]
        assert client.post("/", without_password(taken) | {"username": "anna-smith"}).status_code == 302

    def test_through_a_change_of_language(self, client: Client, taken: dict[str, str]) -> None:
        client.post("/", taken)

        page = client.post("/language/", without_password(taken) | {"language": "fr", "next": "/"}).content.decode()

        assert 'name="password"' not in page

    def test_sealed_and_deleted_with_the_account(self, client: Client, taken: dict[str, str]) -> None:
        page = client.post("/", taken).content.decode()

        kept = client.session["password"]
        assert CANARY not in page + str(client.session.items())
        assert kept["sealed"] not in page
        assert client.session.get_expiry_age() <= LIFETIME

        client.post("/", without_password(taken) | {"username": "anna-smith"})

        assert "password" not in client.session
        assert client.session.get_expiry_age() > LIFETIME
        assert not any("sealed" in str(session.get_decoded()) for session in Session.objects.all())

    @pytest.mark.parametrize("gone", ["too late", "another form", "another browser", "other keys"])
    def test_not_in_any_other_case(
        self, client: Client, taken: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch, gone: str
    ) -> None:
        client.post("/", taken)
        again = without_password(taken) | {"username": "anna-smith"}
        if gone == "too late":
            now = time.time()
            monkeypatch.setattr("signup.kept_password.time.time", lambda: now + LIFETIME + 1)
        if gone == "another form":
            again["submission"] = str(uuid.uuid4())
        if gone == "another browser":
            client = Client()
        if gone == "other keys":
            settings.SEALING_KEYS = [Fernet.generate_key().decode()]

        response = client.post("/", again)

        assert errors(response) == {"password": ["Choose a password."]}
        assert 'name="password"' in response.content.decode()

    def test_not_if_it_is_part_of_the_problem(self, client: Client, taken: dict[str, str], settings: Settings) -> None:
        settings.CONSTANT_CONTACT_API = "v3"

        response = client.post("/", taken | {"password": "anna-jones-x"})

        assert 'name="password"' in response.content.decode()
        assert "password" not in client.session

    def test_not_in_the_long_session_of_a_browser_with_an_account(self, client: Client, taken: dict[str, str]) -> None:
        client.post("/", taken | {"username": "anna-smith"})

        response = client.post("/", taken | {"submission": str(uuid.uuid4()), "second": "yes"})

        assert errors(response)["password"] == [AGAIN]
        assert "password" not in client.session


class TestWeakPassword:
    @pytest.mark.parametrize("password", ["123456", TYPED["username"]])
    def test_the_customer_is_warned_once_and_may_insist(
        self, client: Client, typed: dict[str, str], password: str
    ) -> None:
        response = client.post("/", typed | {"password": password})

        page = response.content.decode()
        assert "easy to guess" in errors(response)["password"][0]
        assert '<input type="hidden" name="insist" value="yes">' in page
        assert not Account.objects.exists()

        assert client.post("/", typed | {"password": password, "insist": "yes"}).status_code == 302

    def test_the_warning_comes_with_all_the_other_problems(self, client: Client, typed: dict[str, str]) -> None:
        response = client.post("/", typed | {"password": "123456", "phone": "1"})

        assert errors(response).keys() == {"phone", "password"}
        assert "easy to guess" in errors(response)["password"][0]

    def test_a_corrected_password_is_checked_too(self, client: Client, page_of: Any) -> None:
        address = page_of(account("rejected", {"password": "Too weak."}))

        page = client.post(address, {"password": "123456"}).content.decode()

        assert "easy to guess" in page
        assert client.post(address, {"password": "123456", "insist": "yes"}).status_code == 302

    def test_a_strong_password_gets_no_warning(self, client: Client, typed: dict[str, str]) -> None:
        page = client.post("/", typed | {"email": "anna@"}).content.decode()

        assert "insist" not in page
