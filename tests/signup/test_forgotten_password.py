"""New passwords by email, for staff who have forgotten theirs."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_otp.plugins.otp_totp.models import TOTPDevice

from signup import forgotten_password
from signup.models import StaffIdentity, Visit

ASK = "/admin/password/"
OLD, NEW = "staff-word-1", "a-new-word-1"


class Deferred:
    """A timer that is over when the test says so. It keeps the test's connection to the database open."""

    waiting: ClassVar[list[Callable[[], None]]] = []

    def __init__(self, seconds: float, target: Callable[[], None]) -> None:
        assert seconds >= 1
        self.target = target

    def start(self) -> None:
        self.waiting.append(self.target)

    @classmethod
    def finish(cls) -> None:
        while cls.waiting:
            cls.waiting.pop()()


@pytest.fixture(autouse=True)
def mail_server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_URL = {"EMAIL_HOST": "mail.example.com"}
    settings.DEFAULT_FROM_EMAIL = "signup@example.com"
    Deferred.waiting.clear()
    monkeypatch.setattr(forgotten_password, "Timer", Deferred)
    monkeypatch.setattr(forgotten_password, "connection", mock.Mock())


@pytest.fixture
def ana(db: None) -> User:
    return User.objects.create_user("ana", "ana@example.com", OLD, is_staff=True)


def ask(client: Client, email: str = "ana@example.com") -> str:
    """Ask for a link. Return what the next page says."""
    response = client.post(ASK, {"email": email}, follow=True, headers={"host": "localhost"})
    Deferred.finish()
    return re.sub(r'value="[^"]*"|nonce="[^"]*"', "", response.content.decode())


def link() -> str:
    found = re.search(r"http://localhost(/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def choose(client: Client, password: str = NEW) -> str:
    page = client.get(link(), follow=True)
    fields = {"new_password1": password, "new_password2": password}
    return client.post(page.redirect_chain[-1][0], fields, follow=True).content.decode()


def test_the_login_page_links_to_it_if_there_is_a_mail_server(client: Client, ana: User, settings: Any) -> None:
    assert f'href="{ASK}"' in client.get("/admin/login/").content.decode()
    assert client.get(ASK).status_code == 200
    settings.EMAIL_URL = {}
    assert f'href="{ASK}"' not in client.get("/admin/login/").content.decode()
    assert client.get(ASK).status_code == client.post(ASK, {"email": "ana@example.com"}).status_code == 404


def test_a_link_to_a_new_password_works_once(client: Client, ana: User) -> None:
    ask(client)
    assert mail.outbox[0].to == ["ana@example.com"]
    assert "Your username is ana." in mail.outbox[0].body
    assert "Your password has been set." in choose(client)
    ana.refresh_from_db()
    assert ana.check_password(NEW)
    assert "The password reset link was invalid" in client.get(link()).content.decode()


def test_the_new_password_must_follow_the_usual_rules(client: Client, ana: User) -> None:
    ask(client)
    assert "This password is too common." in choose(client, "password1")
    ana.refresh_from_db()
    assert ana.check_password(OLD)


def test_the_answer_does_not_reveal_whether_a_user_exists(client: Client, ana: User) -> None:
    assert ask(client) == ask(client, "nobody@example.com")
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_users_who_cannot_log_in_get_no_link(client: Client, ana: User, change: dict[str, bool]) -> None:
    User.objects.filter(pk=ana.pk).update(**change)
    ask(client)
    assert not mail.outbox


def test_users_of_the_identity_provider_get_no_link(client: Client, ana: User) -> None:
    StaffIdentity.objects.create(user=ana, issuer="https://id.example.com", subject="1")
    ask(client)
    assert not mail.outbox


def test_the_link_leads_to_a_host_of_this_installation(client: Client, ana: User, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost", ".example.com"]
    client.post(ASK, {"email": "ana@example.com"}, headers={"host": "made-up.example.com"})
    Deferred.finish()
    assert "made-up" not in mail.outbox[0].body
    assert link()


def test_the_answer_takes_as_long_whether_a_user_exists_or_not(client: Client, ana: User) -> None:
    def queries(email: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            client.post(ASK, {"email": email})
        return [re.sub(r"'[^']*'|_x[0-9]+", "", query["sql"]) for query in captured]

    assert queries("ana@example.com") == queries("nobody@example.com")


def an_hour_passes(settings: Any) -> None:
    Visit.objects.update(at=F("at") - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT))


def test_a_mailbox_is_not_flooded(client: Client, ana: User, settings: Any) -> None:
    for sent in (3, 6, 6):
        for _ in range(4):
            ask(client)
        assert len(mail.outbox) == sent
        an_hour_passes(settings)


def test_users_who_share_a_mailbox_share_its_limit(client: Client, ana: User) -> None:
    for name, address in (("ben", "Ana+ben@example.com"), ("cleo", "ana@example.com")):
        User.objects.create_user(name, address, OLD, is_staff=True)
    for _ in range(3):
        ask(client)
        ask(client, "ana+ben@example.com")
    assert len(mail.outbox) == 3


def test_a_stranger_who_uses_up_the_links_does_not_lock_the_user_out(client: Client, ana: User, settings: Any) -> None:
    for _ in range(2):
        for _ in range(3):
            ask(client)
        an_hour_passes(settings)
    own = Client()
    own.post("/admin/login/", {"username": "ana", "password": OLD})
    own.post("/admin/logout/")
    ask(own)
    assert len(mail.outbox) == 7


def test_requests_from_one_network_are_limited(client: Client, ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(forgotten_password.MOST, "network", (2, 2))
    for email in ("one@example.com", "two@example.com", "ana@example.com"):
        ask(client, email)
    assert not mail.outbox


def test_two_factor_authentication_still_applies(client: Client, ana: User) -> None:
    TOTPDevice.objects.create(user=ana, name="TOTP", confirmed=True)
    ask(client)
    choose(client)
    client.post("/admin/login/", {"username": "ana", "password": NEW, "code": ""})
    assert "_auth_user_id" not in client.session


def test_requests_are_logged_without_the_link(
    client: Client, ana: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask(client)
    choose(client)
    token = link().split("/")[-2]

    def refuse(*args: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", refuse)
    ask(client)
    assert f"link for a new password requested user={ana.pk}" in caplog.text
    assert f"staff set a new password by email user={ana.pk}" in caplog.text
    assert "Failed to send password reset email" in caplog.text
    assert token not in caplog.text
    assert "ana@example.com" not in caplog.text
