"""The password reset by email, for staff."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator, default_token_generator
from django.core import mail
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django_otp.plugins.otp_totp.models import TOTPDevice

from signup import password_reset
from signup.models import StaffIdentity, Visit
from tests.signup.emails.conftest import Broken

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
    monkeypatch.setattr(password_reset, "Timer", Deferred)
    monkeypatch.setattr(password_reset, "connection", mock.Mock())


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


def token_of(email: Any) -> str:
    found = re.search(r"\w+-\w{32}", str(email.body))
    assert found
    return found[0]


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


def test_every_page_on_the_way_leads_back_to_the_login(client: Client, ana: User) -> None:
    for page in (ASK, f"{ASK}sent/", f"{ASK}done/"):
        assert 'href="/admin/login/">Back to login' in client.get(page).content.decode()
    assert "Back to login" not in client.get("/admin/login/").content.decode()


def test_a_link_to_a_new_password_works_once(client: Client, ana: User) -> None:
    ask(client)
    assert mail.outbox[0].to == ["ana@example.com"]
    assert "Your username is ana." in mail.outbox[0].body
    assert "Your password has been set." in choose(client)
    ana.refresh_from_db()
    assert ana.check_password(NEW)
    page = client.get(link()).content.decode()
    assert "The password reset link was invalid" in page
    assert f'href="{ASK}">Request a new link</a>' in page


def test_a_link_that_two_requests_use_at_the_same_moment_works_once(
    client: Client, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client)
    slow, quick = Client(), Client()
    check = password_reset.StaffSetPasswordForm.clean

    def overtaken(form: Any) -> Any:
        """Let the quick request be answered while the slow one, whose link was valid, is checked."""
        monkeypatch.setattr(password_reset.StaffSetPasswordForm, "clean", check)
        assert "Your password has been set." in choose(quick, "the-quick-word-1")
        return check(form)

    monkeypatch.setattr(password_reset.StaffSetPasswordForm, "clean", overtaken)

    assert "The password reset link was invalid" in choose(slow)
    ana.refresh_from_db()
    assert ana.check_password("the-quick-word-1")


def test_a_new_password_restores_nothing_that_was_changed_meanwhile(
    client: Client, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client)
    check = password_reset.StaffSetPasswordForm.clean

    def deactivated(form: Any) -> Any:
        User.objects.update(is_active=False)
        return check(form)

    monkeypatch.setattr(password_reset.StaffSetPasswordForm, "clean", deactivated)
    choose(client)

    ana.refresh_from_db()
    assert not ana.is_active


def test_the_browser_that_sets_a_new_password_is_a_known_one(client: Client, ana: User) -> None:
    """Nobody who fails from elsewhere can lock its user out of the login that follows."""
    ask(client)
    choose(client)
    for number in range(20):
        failing = {"username": "ana", "password": "wrong"}
        Client().post("/admin/login/", failing, REMOTE_ADDR=f"203.0.{number}.7")
    assert "/admin/" in client.post("/admin/login/", {"username": "ana", "password": NEW}).headers["Location"]


def test_no_log_has_the_token_of_a_link(client: Client, ana: User) -> None:
    """The web server and proxies log paths, but no queries."""
    ask(client)
    token = token_of(mail.outbox[0])
    page = client.get(link(), follow=True)
    assert page.redirect_chain
    for address in (link(), page.redirect_chain[-1][0]):
        assert token not in urlsplit(address).path
    assert token not in page.redirect_chain[-1][0]


def test_no_path_of_the_site_has_a_token() -> None:
    captured = {name for pattern in every_pattern(get_resolver()) for name in pattern.pattern.converters}
    assert not {name for name in captured if "token" in name or "key" in name or "secret" in name}


def every_pattern(resolver: Any) -> Iterator[Any]:
    for pattern in resolver.url_patterns:
        yield pattern
        if hasattr(pattern, "url_patterns"):
            yield from every_pattern(pattern)


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


def pass_time(hours: float) -> None:
    """Make everything that was counted, and every link, older."""
    Visit.objects.update(at=F("at") - timedelta(hours=hours))


def works(email: Any, user: User, now: datetime) -> bool:
    """Whether the link in an email works at this time."""
    with mock.patch.object(PasswordResetTokenGenerator, "_now", return_value=now):
        return default_token_generator.check_token(user, token_of(email))


def test_links_follow_each_other_at_growing_intervals(client: Client, ana: User) -> None:
    waits = [wait / timedelta(hours=1) for wait in password_reset.WAITS[1:]]
    for number, hours in enumerate([*waits, waits[-1]], start=1):
        ask(client)
        assert len(mail.outbox) == number
        pass_time(hours * 0.9)
        ask(client)
        assert len(mail.outbox) == number
        pass_time(hours * 0.2)


def test_a_stranger_who_asks_all_the_time_neither_floods_a_mailbox_nor_leaves_it_without_a_link(
    client: Client, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime(2026, 11, 2)  # noqa: DTZ001  # As Django's tokens count.
    sent: list[tuple[Any, int]] = []
    for hour in range(36):
        now = start + timedelta(hours=hour)
        monkeypatch.setattr(PasswordResetTokenGenerator, "_now", mock.Mock(return_value=now))
        ask(client)
        sent += [(message, hour) for message in mail.outbox[len(sent) :]]
        assert works(sent[-1][0], ana, now + timedelta(minutes=59))
        pass_time(1)
    assert len([hour for _message, hour in sent if hour < 24]) <= 8
    assert len([hour for _message, hour in sent if hour >= 12]) <= 6


@pytest.mark.parametrize("change", ["logs in", "gets another password", "gets another address"])
def test_a_user_whose_links_have_become_invalid_gets_a_new_one_at_once(client: Client, ana: User, change: str) -> None:
    for _ in range(3):
        ask(client)
        pass_time(1.1)
    if change == "logs in":
        Client().post("/admin/login/", {"username": "ana", "password": OLD})
    elif change == "gets another password":
        ana.set_password(NEW)
        ana.save()
    else:
        User.objects.update(email="ana@nullmailer.com")
    ask(client, User.objects.get().email)
    assert len(mail.outbox) == 4


def test_users_who_share_a_mailbox_do_not_keep_each_other_out(client: Client, ana: User) -> None:
    User.objects.create_user("ben", "ana+ben@example.com", OLD, is_staff=True)
    for _ in range(3):
        ask(client)
    ask(client, "ana+ben@example.com")
    assert [message.to for message in mail.outbox] == [["ana@example.com"], ["ana+ben@example.com"]]


def test_a_browser_in_which_the_user_has_logged_in_gets_links_of_its_own(client: Client, ana: User) -> None:
    own = Client()
    own.post("/admin/login/", {"username": "ana", "password": OLD})
    own.post("/admin/logout/")
    ask(client)
    ask(client)
    assert len(mail.outbox) == 1
    ask(own)
    assert len(mail.outbox) == 2


@pytest.mark.parametrize("opening", [True, False])
def test_a_link_that_the_mail_server_did_not_take_does_not_count(
    client: Client, ana: User, settings: Any, monkeypatch: pytest.MonkeyPatch, opening: bool
) -> None:
    monkeypatch.setattr(Broken, "fault", ConnectionRefusedError() if opening else SMTPRecipientsRefused({}), False)
    monkeypatch.setattr(Broken, "opening", opening)
    usual, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.signup.emails.conftest.Broken"
    ask(client)
    settings.EMAIL_BACKEND = usual
    ask(client)
    assert len(mail.outbox) == 1


def test_a_link_that_the_mail_server_may_have_taken_counts(
    client: Client, ana: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "fault", SMTPServerDisconnected("gone"), False)
    usual, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.signup.emails.conftest.Broken"
    ask(client)
    settings.EMAIL_BACKEND = usual
    ask(client)
    assert not mail.outbox


def test_the_page_says_that_earlier_links_still_work(client: Client, ana: User) -> None:
    assert "The link works for five hours" in ask(client)
    assert "within five hours" in mail.outbox[0].body


def test_requests_from_one_network_are_limited_and_told_so(
    client: Client, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_reset, "MAX_REQUESTS", (2, 3))
    told = [ask(client, email) for email in ("one@example.com", "two@example.com", "ana@example.com")]
    assert ["too many requests from your network" in page for page in told] == [False, False, True]
    pass_time(1.1)
    assert "too many requests" not in ask(client, "three@example.com")
    assert "too many requests" in ask(client)
    assert not mail.outbox


def test_requests_from_one_area_are_limited_too(client: Client, ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer of an internet provider may have a whole /48, with 65,536 networks."""
    monkeypatch.setattr(password_reset, "MAX_REQUESTS_OF_AREA", (3, 9))

    def status(network: str) -> int:
        asked = client.post(ASK, {"email": "one@example.com"}, REMOTE_ADDR=network)
        Deferred.finish()
        return int(asked.status_code)

    statuses = [status(f"2001:db8:1:{number:x}::1") for number in range(4)]
    assert statuses == [302, 302, 302, 429]
    assert status("2001:db8:2::1") == 302
    monkeypatch.setattr(password_reset, "MAX_REQUESTS", (1, 1))
    assert [status("2001:db8:3::1") for _ in range(9)][-1] == 429
    assert status("2001:db8:3:1::1") == 302  # What was refused counts for nothing.


def test_two_factor_authentication_still_applies(client: Client, ana: User) -> None:
    TOTPDevice.objects.create(user=ana, name="TOTP", confirmed=True)
    ask(client)
    choose(client)
    client.post("/admin/login/", {"username": "ana", "password": NEW, "code": ""})
    assert "_auth_user_id" not in client.session


def test_requests_are_logged_without_the_link(
    client: Client, ana: User, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask(client)
    choose(client)
    token = token_of(mail.outbox[-1])

    monkeypatch.setattr(Broken, "fault", ConnectionRefusedError(), False)
    settings.EMAIL_BACKEND = "tests.signup.emails.conftest.Broken"
    ask(client)
    assert f"password reset link requested user={ana.pk}" in caplog.text
    assert f"staff reset their password user={ana.pk}" in caplog.text
    assert f"password reset link not sent user={ana.pk} error=ConnectionRefusedError" in caplog.text
    assert token not in caplog.text
    assert "ana@example.com" not in caplog.text
