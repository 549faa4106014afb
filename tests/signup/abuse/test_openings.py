"""A sign-up can be opened in a limited number of browsers: each gets a session, and anybody can make many browsers."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from signup import mails
from signup.abuse import MINIMUM_SECONDS, OPENINGS
from signup.models import Visit
from tests.signup.abuse.conftest import FORM, Clock, opened
from tests.signup.accounts import account

pytestmark = pytest.mark.django_db

AN_HOUR, A_DAY = OPENINGS
KEPT = "The password you chose is kept."
WHY = "This sign-up was opened too often"


@pytest.fixture
def link(rf: Any) -> str:
    return mails.link_to(account("rejected"), "https://testserver/").removeprefix("https://testserver")


def test_a_link_opens_in_a_limited_number_of_browsers(link: str) -> None:
    for _ in range(AN_HOUR):
        assert Client().get(link).status_code == 302
    refused = Client().get(link)
    assert refused.status_code == 429
    assert WHY in refused.content.decode()
    assert "Please try again later." in refused.content.decode()
    assert Session.objects.count() == AN_HOUR

    for _ in range(A_DAY // AN_HOUR):
        Visit.objects.update(at=F("at") - timedelta(hours=1))
        opened_now = [Client().get(link).status_code for _ in range(AN_HOUR)]
    assert opened_now[-1] == 429
    assert Session.objects.count() == A_DAY


def test_a_browser_that_has_it_already_is_not_counted(client: Client, link: str) -> None:
    for _ in range(AN_HOUR + 1):
        assert client.get(link).status_code == 302
    assert Session.objects.count() == 1


def test_a_form_is_sent_again_from_a_limited_number_of_browsers(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    assert client.post(FORM, form).status_code == 302
    for _ in range(AN_HOUR):
        assert Client().post(FORM, form).status_code == 302
    refused = Client().post(FORM, form)
    assert refused.status_code == 429
    assert WHY in refused.content.decode()
    assert client.post(FORM, form).status_code == 302
    assert Session.objects.count() == AN_HOUR + 1


def test_a_password_is_kept_for_a_limited_number_of_browsers_of_one_network(client: Client, wait: Clock) -> None:
    form = opened(client) | {"username": account("queued", username="taken").username}
    wait(MINIMUM_SECONDS)
    for _ in range(AN_HOUR):
        assert KEPT in Client().post(FORM, form).content.decode()
    refused = Client().post(FORM, form)
    assert KEPT not in refused.content.decode()
    assert "Enter your password again." in refused.content.decode()
    assert Session.objects.count() == AN_HOUR
    assert KEPT in Client().post(FORM, form, REMOTE_ADDR="198.51.100.7").content.decode()


def test_one_sign_up_does_not_count_against_another(link: str) -> None:
    for _ in range(AN_HOUR + 1):
        Client().get(link)
    other = mails.link_to(account("rejected"), "https://testserver/").removeprefix("https://testserver")
    assert Client().get(other).status_code == 302


def test_without_abuse_protection_nothing_is_counted(link: str, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = False
    for _ in range(AN_HOUR + 1):
        assert Client().get(link).status_code == 302
    assert not Visit.objects.exists()
