"""Staff's passwords: long ones of any kind, but none that an attacker would try first here."""

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import Settings

from tests.provisioning.admin.conftest import STAFF_PASSWORD

FINE = (
    "7364920158346",
    "only lowercase and blanks",
    "ÄÖÜ-пароль-密码密码",
    "correct-horse-signup-battery",
    "x1" * 64,
)


@pytest.fixture(autouse=True)
def of_a_partner(settings: Settings) -> None:
    settings.BRAND_NAME, settings.ALLOWED_HOSTS = "Alder & Partners", ["signup.alder.example.com", "testserver"]


@pytest.mark.parametrize("password", FINE)
def test_any_characters_are_allowed(password: str) -> None:
    validate_password(password, User(username="ana"))


@pytest.mark.parametrize(
    "password",
    [
        "constantcontact",
        "ConstantContact1!",
        "Constant Contact 26",
        "alder-partners",
        "AlderPartners7",
        "sign-up-26",
        "administrator1",
    ],
)
def test_words_of_this_site_and_its_users_are_refused(password: str) -> None:
    with pytest.raises(ValidationError, match="easy to guess"):
        validate_password(password, User(username="ana"))


@pytest.mark.parametrize("password", ["seven-7", "password123", "iloveyou"])
def test_short_and_leaked_passwords_are_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, User(username="ana"))


@pytest.mark.django_db
def test_a_password_is_used_exactly_as_entered(client: Client) -> None:
    new = f" {'ÄÖÜ-пароль ' * 8}"
    User.objects.create_user("ana", password=STAFF_PASSWORD, is_staff=True)
    client.force_login(User.objects.get())
    entered = {"old_password": STAFF_PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/admin/password_change/", entered).status_code == 302

    for password, status in ((new.strip(), 200), (new[:72], 200), (new.lower(), 200), (new, 302)):
        assert Client().post("/admin/login/", {"username": "ana", "password": password}).status_code == status
