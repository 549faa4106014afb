"""A browser opens the pages of its own accounts, by a signed cookie that needs no session."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Account
from signup.emails.links import link_to
from signup.own_accounts import MAX_ACCOUNTS
from tests.provisioning.work import again
from tests.signup.accounts import TYPED, account, give

pytestmark = pytest.mark.django_db

NAME = "__Host-accounts"


def may_open(client: Client, page: str) -> bool:
    return client.get(page).status_code == 200


def test_a_sign_up_opens_its_page_without_a_session(client: Client) -> None:
    page = client.post("/", TYPED).headers["Location"]

    assert may_open(client, page)
    assert not may_open(Client(), page)
    assert not Session.objects.exists()


def test_every_sign_up_of_a_browser_can_be_opened(client: Client) -> None:
    forms = [TYPED | {"username": name, "second": "yes"} for name in ("anna.1", "anna.2")]
    pages = [client.post("/", form).headers["Location"] for form in forms]

    assert all(may_open(client, page) for page in pages)


@pytest.mark.parametrize("spoil", [str.swapcase, lambda value: value[36:], lambda value: "", lambda value: "é" + value])
def test_a_forged_cookie_opens_nothing(client: Client, spoil: object) -> None:
    page = client.post("/", TYPED).headers["Location"]
    client.cookies[NAME] = spoil(client.cookies[NAME].value)  # type: ignore[operator]

    assert not may_open(client, page)


def test_a_cookie_of_another_account_opens_nothing(client: Client) -> None:
    page = Client().post("/", TYPED).headers["Location"]
    give(client, account("created"))

    assert not may_open(client, page)


def test_a_cookie_ends_with_the_age_of_sessions(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = client.post("/", TYPED).headers["Location"]
    later = (timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE + 1)).timestamp()
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)

    assert not may_open(client, page)


class TestAnAccountOpenedFromAnEmail:
    @pytest.fixture
    def opened(self, client: Client) -> Account:
        """Return somebody else's account, which this browser was led to open."""
        opened = account("rejected", username="anna@example.com", email="thief@example.org")
        assert client.get(link_to(opened, "/")).status_code == 302
        return opened

    def test_can_be_opened_again(self, client: Client, opened: Account) -> None:
        assert may_open(client, f"/signup/{opened.reference}/")

    def test_takes_nothing_from_a_form_with_its_username(self, client: Client, opened: Account) -> None:
        answer = client.post("/", TYPED | {"username": opened.username, "first_name": "Maria"})

        assert "username_error" in answer.content.decode()
        assert again(opened).first_name == opened.first_name

    def test_is_not_taken_for_what_this_browser_sent(self, client: Client, opened: Account) -> None:
        answer = client.post("/", TYPED | {"organization_name": opened.organization_name})

        assert answer.status_code == 302

    def test_stays_sent_if_this_browser_sent_it(self, client: Client) -> None:
        client.post("/", TYPED)
        sent = Account.objects.get()
        client.get(link_to(sent, "/"))

        assert client.post("/", TYPED | {"first_name": "Maria"}).headers["Location"].endswith("?changed=first_name")


def test_the_cookie_stays_small_enough_for_browsers(client: Client) -> None:
    made = account("created")
    for number in range(MAX_ACCOUNTS + 1):
        made.reference = made.reference.__class__(int=number)
        give(client, made)

    assert len(str(client.cookies[NAME])) < 4096
    assert client.cookies[NAME].value.startswith("00000000-0000-0000-0000-000000000001.")


def test_accounts_in_the_session_of_an_earlier_release_can_be_opened(client: Client) -> None:
    session = client.session
    session["accounts"] = [str(account("created", username="before").reference)]
    session.save()
    page = client.post("/", TYPED | {"second": "yes"}).headers["Location"]

    assert may_open(client, f"/signup/{session['accounts'][0]}/")
    assert may_open(client, page)
