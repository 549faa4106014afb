"""docs/operations.md is enough for a night shift: a broken installation says what the table there says."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import IncompleteRead
from io import StringIO
from pathlib import Path
from smtplib import SMTPAuthenticationError, SMTPServerDisconnected
from unittest.mock import Mock
from urllib.error import URLError
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from pytest_django import Settings

from provisioning import gateway
from provisioning.gateway import permits
from provisioning.models import Account, Gateway, Worker
from provisioning.sandbox import Server
from signup import health
from signup.doctor import installation, mail_server, provider, public_address
from signup.models import Mail
from signup.visitors import network
from tests.checkout import ROOT
from tests.provisioning.conftest import sandbox as sandbox
from tests.provisioning.work import State, account_in, again, now, pass_time, sign_up, work
from tests.signup.conftest import plain_static_files as plain_static_files
from tests.signup.test_health import locked_database, read_only_database, unreachable_database
from tests.signup.test_health import unshared as unshared

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = (ROOT / "docs/operations.md").read_text().partition("\n## Health\n")[0]
ROWS = re.findall(r"^\| `([^`]+)` \|", TABLE, re.MULTILINE)
SEEN: dict[str, Callable[..., None]] = {}
"""What you see → the test that breaks an installation so that you see it."""


def symptom(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Name what is seen in a test. The table must say so, too."""

    def register(test: Callable[..., None]) -> Callable[..., None]:
        SEEN[text] = test
        return test

    return register


def test_each_row_of_the_table_is_tried() -> None:
    assert list(SEEN) == ROWS


@pytest.fixture(autouse=True)
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONSTANT_CONTACT_RATE = 1000.0
    monkeypatch.setattr(permits, "LATE", 60.0)
    monkeypatch.setattr(health, "MAX_LOCKED", 1)


def banner() -> str:
    page = Client()
    page.force_login(User.objects.get_or_create(username="dora", is_staff=True, is_superuser=True)[0])
    return page.get("/admin/").content.decode().replace("&#x27;", "'")


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def not_ready() -> str:
    response = Client().get("/readyz")
    assert response.status_code == 503
    return str(response.json()["reason"])


@symptom("Constant Contact answered 401")
def test_a_refused_login_stops_sending_until_it_is_resumed(sandbox: Server, settings: Settings) -> None:
    account, right = sign_up(), settings.CONSTANT_CONTACT_PASSWORD
    settings.CONSTANT_CONTACT_PASSWORD = "canary-wrong"
    work()
    assert "Constant Contact answered 401" in banner()
    assert "Constant Contact answered 401" in said("gateway")
    assert again(account).state == State.QUEUED

    settings.CONSTANT_CONTACT_PASSWORD = right
    call_command("gateway", "resume")
    work()
    assert again(account).state == State.CREATED


@symptom("Today's quota of calls is used up.")
def test_a_used_up_quota_pauses_sending_until_the_next_day(sandbox: Server, settings: Settings) -> None:
    first, second = sign_up(), sign_up(username="second")
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1
    work(2)
    assert "Today's quota of calls is used up." in banner()
    assert "Today's quota of calls is used up." in said("gateway")
    assert again(second).state == State.QUEUED

    pass_time(timedelta(days=1))
    Gateway.objects.update(day=now().date() - timedelta(days=1))
    work()
    assert {again(account).state for account in (first, second)} == {State.CREATED}


@symptom("Constant Contact asked us to pause: too many calls.")
def test_a_quota_that_other_systems_used_up_pauses_sending_until_the_next_day(sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", "over-quota")
    work()
    assert "Constant Contact asked us to pause: too many calls." in banner()
    assert "Constant Contact asked us to pause: too many calls." in said("gateway")

    pass_time(timedelta(days=1))
    work()
    assert again(account).state == State.CREATED


@symptom("Constant Contact is unreachable or not giving clear answers")
def test_a_provider_that_hangs_pauses_sending_until_it_is_back(sandbox: Server, settings: Settings) -> None:
    accounts = [sign_up(username=f"anna-{number}") for number in range(5)]
    sandbox.provider.fail_next("create", "hang-before", times=5)
    settings.CONSTANT_CONTACT_TIMEOUT = 0.3
    work(5)
    settings.CONSTANT_CONTACT_TIMEOUT = 30.0
    assert "Constant Contact is unreachable or not giving clear answers" in banner()
    assert "Constant Contact is unreachable or not giving clear answers" in said("gateway")

    for _ in range(3):
        pass_time(timedelta(minutes=11))
        work()
    assert {again(account).state for account in accounts} == {State.CREATED}


@symptom("calls got no answer.")
def test_a_provider_that_is_slow_is_on_the_overview(sandbox: Server, settings: Settings) -> None:
    accounts = [sign_up(username=f"anna-{number}") for number in range(3)]
    sandbox.provider.fail_next("create", "hang-after", times=3)
    settings.CONSTANT_CONTACT_TIMEOUT = 0.3
    work(3)
    settings.CONSTANT_CONTACT_TIMEOUT = 30.0
    assert "calls got no answer." in banner()

    for _ in range(3):
        pass_time(timedelta(minutes=11))
        work()
    assert {again(account).state for account in accounts} == {State.CREATED}
    assert len([call for call in sandbox.provider.calls if call.method == "POST"]) == 3


@symptom("can be reached, but does not answer in time.")
def test_a_slow_provider_is_not_said_to_be_unreachable(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.provider.latency = 2
    monkeypatch.setattr(provider, "TIMEOUT", 0.3)

    (finding,) = provider.check_connection()

    assert "can be reached, but does not answer in time." in finding.text


@symptom("has no address")
def test_a_failing_dns_is_named_by_the_doctor(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_URL = "https://nowhere.invalid"

    (finding,) = provider.check_connection()

    assert finding.text == "nowhere.invalid has no address."


@symptom("The database is read-only.")
def test_a_read_only_database_is_not_ready_and_then_is_again() -> None:
    with read_only_database():
        assert not_ready() == "The database is read-only."
    assert Client().get("/readyz").status_code == 200


@symptom("The database is locked by another session.")
def test_a_locked_database_is_not_ready_and_then_is_again() -> None:
    with locked_database():
        assert not_ready() == "The database is locked by another session."
    assert Client().get("/readyz").status_code == 200


@contextmanager
def full_disk() -> Iterator[None]:
    """Let SQLite's file grow no further, which SQLite reports like a full disk."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")


def fill_up() -> None:
    """Store accounts until no more fit. One may fit after one that didn't: random IDs decide which pages of indexes it
    needs. Once twenty in a row didn't, the table's own last page is full.
    """
    failed = 0
    while failed < 20:
        try:
            Account.objects.create(submission=uuid4(), state=State.CLOSED)
            failed = 0
        except OperationalError:
            failed += 1


@symptom("The database's disk is full.")
def test_a_full_disk_is_not_ready_and_what_was_stored_is_kept() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's disk can't be filled here; tests/crash has its errors.")
    account = sign_up()
    with full_disk():
        fill_up()
        assert not_ready() == "The database's disk is full."
    assert Client().get("/readyz").status_code == 200
    assert again(account).state == State.QUEUED


@symptom("The database can't be reached.")
def test_an_unreachable_database_is_not_ready() -> None:
    with unreachable_database():
        assert not_ready() == "The database can't be reached."


@symptom("The database accepts no more connections.")
def test_a_database_without_a_free_connection_says_so() -> None:
    with unreachable_database("connection failed: FATAL:  sorry, too many clients already"):
        assert not_ready() == "The database accepts no more connections."


@symptom("The database refuses the login.")
def test_a_changed_database_password_is_named() -> None:
    with unreachable_database('connection failed: FATAL:  password authentication failed for user "signup"'):
        assert not_ready() == "The database refuses the login."


@symptom("The database is not up to date.")
def test_a_missing_migration_is_not_ready() -> None:
    applied = MigrationRecorder.Migration.objects.filter(app="signup").latest("name")
    applied.delete()
    assert not_ready() == "The database is not up to date. Run: manage.py migrate"

    applied.save()  # As `migrate` does.
    assert Client().get("/readyz").status_code == 200


@symptom("Static files are not collected.")
def test_missing_static_files_are_named_before_the_web_server_starts(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path

    assert any("Static files are not collected." in finding.text for finding in installation.check_settings())


@symptom(".env cannot be read: Permission denied.")
def test_an_unreadable_env_file_is_the_first_that_is_named(settings: Settings) -> None:
    settings.MISTAKES = {".env": ".env cannot be read: Permission denied."}  # test_configuration.py has the real one.
    settings.SEALING_KEYS = []

    first, *_others = installation.check_settings()

    assert ".env cannot be read: Permission denied." in first.text


@symptom("No worker is running.")
def test_a_killed_worker_is_missed_and_its_account_taken_over(sandbox: Server) -> None:
    Worker.objects.create(name="killed:1", seen_at=Now() - timedelta(minutes=2))
    account = account_in(State.SENDING)
    assert "No worker is running." in banner()
    assert [finding.text for finding in installation.check_workers()] == ["No worker is running."]

    for _ in range(3):
        work()
        pass_time(timedelta(minutes=2))
    assert again(account).state == State.CREATED
    assert len([call for call in sandbox.provider.calls if call.method == "POST"]) == 1


@symptom("No key in SEALING_KEYS opens the newest sealed secret.")
def test_a_wrong_sealing_key_is_refused_until_the_right_one_is_added(settings: Settings) -> None:
    sign_up()
    right, wrong = settings.SEALING_KEYS, Fernet.generate_key().decode()
    settings.SEALING_KEYS = [wrong]
    with pytest.raises(CommandError, match="No key in SEALING_KEYS opens the newest sealed secret"):
        call_command("check_keys")
    assert [finding.text for finding in installation.check_sealing_keys()] == [
        "No key in SEALING_KEYS opens the newest sealed secret."
    ]

    settings.SEALING_KEYS = [wrong, *right]
    call_command("check_keys", verbosity=0)


@symptom("The mail server did not accept the email")
def test_a_mail_server_that_refuses_is_named_by_the_doctor(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": "any"}
    monkeypatch.setattr(mail, "get_connection", Mock(side_effect=SMTPAuthenticationError(535, b"no")))

    (finding,) = mail_server.check()

    assert finding.text.startswith("The mail server did not accept the email")


@symptom("The mail server does not answer")
@pytest.mark.parametrize("error", [SMTPServerDisconnected, TimeoutError, ConnectionRefusedError])
def test_a_mail_server_that_hangs_is_not_said_to_refuse(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": "any"}
    monkeypatch.setattr(mail, "get_connection", Mock(side_effect=error))

    (finding,) = mail_server.check()

    assert finding.text == f"The mail server does not answer: {error.__name__}."
    assert "DEFAULT_FROM_EMAIL" not in finding.fix


@symptom("could not be sent.")
def test_emails_that_the_mail_server_does_not_take_are_on_the_overview() -> None:
    Mail.objects.create(account=account_in(State.QUEUED), due_at=Now(), tries=1, problem="SMTPServerDisconnected")
    assert "1 email to customers could not be sent." in banner()

    Mail.objects.update(due_at=None, sent_at=Now(), problem="")
    assert "could not be sent." not in banner()


@symptom("is not accepted")
def test_a_certificate_of_the_provider_that_is_refused_is_named_with_the_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONSTANT_CONTACT_URL = "https://127.0.0.1"
    monkeypatch.setattr(provider, "_headers", Mock(side_effect=URLError(refused("certificate has expired"))))

    (finding,) = provider.check_connection()

    assert finding.text == "The certificate of 127.0.0.1 is not accepted (certificate has expired)."


def refused(why: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = why
    return error


@symptom("Pages redirect to themselves")
def test_a_proxy_that_hides_https_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "_ask", Mock(return_value=(301, b"")))

    (finding,) = public_address.check("https://signup.example.com")

    assert finding.text.startswith("Pages redirect to themselves")
    assert "TRUSTED_PROXIES" in finding.fix


@symptom("It cuts large responses short.")
def test_a_proxy_that_cannot_buffer_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"slow": False, "host": "signup.example.com", "visitor": "10.0.0.7", "has_address": True, "is_secure": True}
    right = (200, json.dumps(seen).encode())
    monkeypatch.setattr(public_address, "_ask", Mock(side_effect=[right, right, IncompleteRead(b"", 9)]))

    *_, finding = public_address.check("https://signup.example.com")

    assert finding.text == "It cuts large responses short."
    assert "log" in finding.fix


@symptom("is not valid")
def test_an_expired_certificate_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "_ask", Mock(side_effect=refused("certificate has expired")))

    (finding,) = public_address.check("https://signup.example.com")

    assert finding.text == "The certificate of https://signup.example.com is not valid (certificate has expired)."


@symptom("You have no role yet.")
def test_a_role_without_rights_is_told_to_whoever_logs_in() -> None:
    user = User.objects.create(username="olga", is_staff=True)
    user.groups.add(operators := Group.objects.get(name="Operator"))
    operators.permissions.clear()
    page = Client()
    page.force_login(user)

    assert "You have no role yet." in page.get("/admin/").content.decode()


@symptom("The reverse proxy hides visitors' addresses.")
def test_a_proxy_without_forwarded_addresses_is_seen_on_the_overview(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]

    network(RequestFactory(REMOTE_ADDR="10.0.0.1").get("/"))

    assert "X-Forwarded-For" in caplog.text
    assert "The reverse proxy hides visitors' addresses." in banner()


@symptom("seconds off Constant Contact's")
def test_a_wrong_clock_is_named_by_the_doctor(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = now() + timedelta(hours=1)
    monkeypatch.setattr(gateway, "now", lambda: wrong)

    texts = [finding.text for finding in provider.check_connection()]

    assert any("seconds off Constant Contact's" in text for text in texts)
