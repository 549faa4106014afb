"""A password is kept for a limited number of browsers: each gets a session, and anybody can make many browsers."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from signup import abuse
from signup.abuse import KEPT_PASSWORDS
from signup.form_guard import MINIMUM_SECONDS
from tests.signup.abuse.conftest import FORM, Clock, opened
from tests.signup.accounts import account

pytestmark = pytest.mark.django_db

AN_HOUR, _A_DAY = KEPT_PASSWORDS
KEPT = "The password you chose is kept."


@pytest.fixture
def form(client: Client, wait: Clock) -> dict[str, str]:
    """Return a form with a taken username."""
    typed = opened(client) | {"username": account("queued", username="taken").username}
    wait(MINIMUM_SECONDS)
    return typed


def test_a_password_is_kept_for_a_limited_number_of_browsers_of_one_network(form: dict[str, str]) -> None:
    for _ in range(AN_HOUR):
        assert KEPT in Client().post(FORM, form).content.decode()
    refused = Client().post(FORM, form)
    assert KEPT not in refused.content.decode()
    assert "Enter your password again." in refused.content.decode()
    assert Session.objects.count() == AN_HOUR
    assert KEPT in Client().post(FORM, form, REMOTE_ADDR="198.51.100.7").content.decode()


def test_a_whole_area_gets_a_limited_number_too(form: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer of an internet provider may have a whole /48, with 65,536 networks."""
    monkeypatch.setattr(abuse, "KEPT_PASSWORDS_OF_AREA", (3, 9))

    kept = [
        KEPT in Client().post(FORM, form, REMOTE_ADDR=f"2001:db8:1:{number:x}::1").content.decode()
        for number in range(4)
    ]

    assert kept == [True, True, True, False]


def test_a_browser_that_has_a_session_is_not_counted(client: Client, form: dict[str, str]) -> None:
    for _ in range(AN_HOUR + 1):
        assert KEPT in client.post(FORM, form).content.decode()
    assert Session.objects.count() == 1


def test_without_abuse_protection_nothing_is_counted(form: dict[str, str], settings: Settings) -> None:
    settings.ABUSE_PROTECTION = False
    for _ in range(AN_HOUR + 1):
        assert KEPT in Client().post(FORM, form).content.decode()
