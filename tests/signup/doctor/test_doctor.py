"""The doctor: what it finds on an installation that is well, and on one that was broken on purpose."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core import signing
from django.core.management import call_command
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway
from provisioning.gateway import permits
from provisioning.models import Account, Gateway, Worker
from provisioning.sandbox import Server
from provisioning.sealed import Sealed
from signup import smtp
from signup.brand.models import Brand
from signup.doctor import Finding, Level, installation, keep, mail_server, provider, public_address, trial
from signup.doctor.findings import failure, ok, warning
from signup.models import Diagnosis, Mail
from tests.certificates import certify
from tests.checkout import ROOT
from tests.provisioning.work import account_in, work
from tests.signup.test_health import unreachable_database

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "LATE", 60.0)


def levels(findings: Iterator[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def doctor(*arguments: str) -> int:
    """Run it on this machine, without a public address, and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", f"--url={NOWHERE}", *arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_working_installation_has_no_failures(
    sandbox: Server, collected_static_files: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Worker.objects.create(name="host:1")

    assert doctor("--json") == 1  # No proxy, and a list that is not calibrated, are warnings.

    findings = json.loads(capsys.readouterr().out)
    failures = [each for each in findings if each["level"] == Level.FAILURE]
    assert failures == []
    assert {each["subject"] for each in findings} >= {"Database", "Workers", "Credentials", "Quota", "Clock"}


def test_a_failure_is_reported_with_its_fix_and_exit_status(
    sandbox: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 2

    assert "FAILURE  Workers: No worker is running.\n         → Start one:" in capsys.readouterr().out


def test_without_a_database_the_report_names_it_wherever_it_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    with unreachable_database():
        assert doctor() == 2

    said = capsys.readouterr().out
    assert "FAILURE  Workers: Not checked. The database can't be reached.\n" in said
    assert "The check failed" not in said


def test_a_locked_gateway_is_not_blamed_on_constant_contact(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gateway, "acquire_permit", Mock(side_effect=OperationalError("database is locked")))

    assert doctor() == 2

    assert "Credentials: Not checked. The database is locked by another session." in capsys.readouterr().out


def test_no_secret_is_in_the_report(sandbox: Server, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.CONSTANT_CONTACT_PASSWORD = "canary-wrong-password"

    assert doctor() == 2

    said = capsys.readouterr().out
    assert "could not be read: HTTP 401" in said
    assert "canary" not in said + str(Diagnosis.objects.values())


def test_wrong_credentials_stop_the_gateway_before_the_account_is_locked(sandbox: Server, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_PASSWORD = "canary-wrong-password"

    assert levels(provider.check_credentials()) == [Level.FAILURE]
    calls = len(sandbox.provider.calls)

    assert levels(provider.check_credentials()) == [Level.FAILURE]
    assert len(sandbox.provider.calls) == calls


def test_an_address_without_an_answer_is_a_failure(settings: Settings) -> None:
    for url in (NOWHERE, "https://nowhere.invalid"):
        settings.CONSTANT_CONTACT_URL = url
        assert levels(provider.check_connection()) == [Level.FAILURE]


@contextmanager
def tls_server(directory: Path) -> Iterator[str]:
    """Run a server whose certificate nobody trusts. Its certificate is `certificate.pem`."""
    certify(certificate := directory / "certificate.pem", key := directory / "key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_connection_is_trusted_if_calls_trust_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy that intercepts TLS, an administrator names its CA for the calls, and asks the doctor."""
    with tls_server(tmp_path) as settings.CONSTANT_CONTACT_URL:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
        monkeypatch.setenv("CURL_CA_BUNDLE", "")
        (refused,) = provider.check_connection()
        assert refused.text.startswith("The certificate of localhost is not accepted")
        assert "REQUESTS_CA_BUNDLE" in refused.fix

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
        assert set(levels(provider.check_connection())) == {Level.OK}

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
        (missing,) = provider.check_connection()
        assert "missing.pem" in missing.text
        assert "REQUESTS_CA_BUNDLE" in missing.fix


def test_credentials_that_were_never_sent_are_not_the_problem(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_URL = NOWHERE

    (finding,) = provider.check_credentials()

    assert finding.fix == provider.NOT_CONNECTED


def test_an_address_that_is_slow_is_not_said_to_be_unreachable(
    sandbox: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody must search the firewall, or replace credentials, while Constant Contact is slow."""
    sandbox.provider.latency = 2
    monkeypatch.setattr(provider, "TIMEOUT", 0.3)
    settings.CONSTANT_CONTACT_TIMEOUT = 0.3

    (connection,), (credentials,) = provider.check_connection(), provider.check_credentials()

    assert connection.text == "127.0.0.1 can be reached, but does not answer in time."
    assert credentials.level == Level.FAILURE
    assert "CONSTANT_CONTACT_PASSWORD" not in credentials.fix


def test_the_cure_of_a_stop_is_named_in_its_order() -> None:
    """While sending is stopped, the doctor makes no call, so it can't see that the cause is fixed."""
    gateway.stop("Constant Contact answered 401.")

    (finding,) = provider.check_credentials()

    assert finding == Finding(
        "Credentials",
        Level.FAILURE,
        "Not checked, because sending is stopped: Constant Contact answered 401.",
        "Fix the cause, restart the workers, run `python manage.py gateway resume`, and then the doctor again.",
    )


def test_a_pause_ends_without_anybody() -> None:
    gateway.row.pause_until(gateway.now() + timedelta(hours=2), "over_quota")

    (finding,) = provider.check_credentials()

    assert finding.level == Level.WARNING
    assert finding.text.startswith("Not checked, because sending is paused until ")


def test_a_clock_that_is_off_is_noticed(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    true = gateway.now()
    for off, level in ((0, Level.OK), (2, Level.WARNING), (10, Level.FAILURE)):
        monkeypatch.setattr(gateway, "now", lambda off=off: true + off * provider.MUCH_OFF * 2)
        assert levels(provider.check_connection())[1:] == [level, Level.OK]


def test_a_clock_of_this_machine_that_is_off_is_noticed(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could log in with a code any more, even if the database's machine has the right time."""
    wrong = gateway.now() + timedelta(hours=3)
    monkeypatch.setattr(timezone, "now", lambda: wrong)

    *_others, finding = provider.check_connection()

    assert finding.level == Level.FAILURE
    assert finding.text.startswith("This machine's clock is 10")


def test_a_brand_whose_host_is_not_served_is_a_failure(settings: Settings) -> None:
    Brand.objects.create(host="shop.example.com", name="Shop")
    Brand.objects.create(name="All others")
    settings.ALLOWED_HOSTS = [".example.com"]
    assert levels(installation.check_brands()) == []

    settings.ALLOWED_HOSTS = ["signup.example.com"]
    assert [finding.text for finding in installation.check_brands()] == [
        "shop.example.com is the host name of a brand, but not in ALLOWED_HOSTS."
    ]


def test_a_nearly_used_up_quota_is_a_warning(settings: Settings) -> None:
    assert levels(provider.check_quota()) == [Level.OK]
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 10
    Gateway.objects.update(day=gateway.now().date(), calls=8)
    assert levels(provider.check_quota()) == [Level.WARNING]


def test_the_list_of_v3_passes_once_it_is_calibrated(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    assert levels(provider.check_calibration()) == [Level.WARNING]
    gateway.state()
    Gateway.objects.update(list_names="username")
    assert levels(provider.check_calibration()) == [Level.OK]


def test_keys_that_open_nothing_new_are_a_failure(settings: Settings) -> None:
    assert levels(installation.check_sealing_keys()) == [Level.OK]
    account_in(Account.State.QUEUED, password=Sealed.of("canary"))
    assert levels(installation.check_sealing_keys()) == [Level.OK]
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    assert levels(installation.check_sealing_keys()) == [Level.FAILURE]


def test_placeholders_of_compose_are_never_sent(sandbox: Server, settings: Settings) -> None:
    """A refused login would stop the gateway for all workers."""
    assert f"CONSTANT_CONTACT_PASSWORD: {provider.NOT_HERE}\n" in (ROOT / "compose.yaml").read_text()
    settings.CONSTANT_CONTACT_API_KEY = settings.CONSTANT_CONTACT_PASSWORD = provider.NOT_HERE

    (finding,) = provider.check_credentials()

    assert (finding.level, "docker compose exec worker" in finding.fix) == (Level.WARNING, True)
    assert not sandbox.provider.calls


def test_a_worker_with_a_problem_is_a_failure() -> None:
    Worker.objects.create(name="host:1", problem="The database is read-only.")
    assert levels(installation.check_workers()) == [Level.FAILURE]


def test_a_test_message_is_sent_or_the_mail_server_is_at_fault(settings: Settings, mailoutbox: list[Any]) -> None:
    settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL = {"EMAIL_BACKEND": "any"}, "signup@example.com"
    assert levels(mail_server.check("dora@example.com")) == [Level.OK]
    assert [message.to for message in mailoutbox] == [["dora@example.com"]]
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = f"{smtp.__name__}.EmailBackend", "127.0.0.1", 9
    assert levels(mail_server.check()) == [Level.FAILURE]


def test_emails_that_the_mail_server_refuses_are_noticed_without_a_test_message(settings: Settings) -> None:
    """A login says nothing about the sender: many servers refuse it only with an email."""
    settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL = {"EMAIL_BACKEND": "any"}, "signup@example.com"
    Mail.objects.create(
        account=account_in(Account.State.CREATED), due_at=Now(), tries=2, problem="SMTPSenderRefused 554"
    )

    (finding,) = mail_server.check()

    assert (finding.level, finding.text) == (
        Level.WARNING,
        "1 email to customers could not be sent: SMTPSenderRefused 554.",
    )


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """Work in another thread, as a worker does."""
    Worker.objects.create(name="host:1", seen_at=Now())
    ended = threading.Event()

    def go_on() -> None:
        from django.db import connection

        while not ended.wait(0.05):
            work()
        connection.close()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_test_account_is_created_and_found_and_its_evidence_masked(
    sandbox: Server, settings: Settings, worker: None
) -> None:
    settings.CONSTANT_CONTACT_RATE = 1000.0

    (finding,) = trial.create_account()

    (name,) = sandbox.provider.accounts
    assert finding.level == Level.OK
    assert "HTTP 201" in finding.text
    assert name not in finding.text
    assert Account.objects.get().email.endswith("@nullmailer.com")
    assert Account.objects.get().country_code != "US"


def test_without_a_worker_no_test_account_is_requested(sandbox: Server) -> None:
    assert levels(trial.create_account()) == [Level.FAILURE]
    assert not Account.objects.exists()


# The reverse proxy; a real nginx is in tests/deploy.


def test_strangers_cannot_see_how_their_request_arrives(client: Client) -> None:
    for token in ("", "forged", signing.dumps("reflect", salt="another")):
        assert client.post(public_address.PATH, headers={"X-Doctor": token}).status_code == 404


@pytest.mark.filterwarnings("ignore:No directory at")  # It needs no static files.
def test_a_proxy_that_passes_everything_on_is_reported(settings: Settings, live_server: Any) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    with quick_pauses():
        texts = [finding.text for finding in public_address.check(live_server.url)]

    assert texts == [
        "It passes on a visitor's own X-Forwarded-For.",
        "It doesn't buffer requests.",
        "It doesn't buffer responses.",
    ]


@contextmanager
def quick_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public_address, "PAUSE", 0.3)
        yield


@pytest.mark.parametrize(
    ("status", "told"), [(301, "redirect to themselves"), (400, "refuses the host name"), (502, "answers 502")]
)
def test_an_address_that_is_not_the_pages_is_a_failure(monkeypatch: pytest.MonkeyPatch, status: int, told: str) -> None:
    monkeypatch.setattr(public_address, "_ask", lambda url: (status, b""))

    (finding,) = public_address.check("https://signup.example.com")

    assert finding.level == Level.FAILURE
    assert told in finding.text


def test_a_proxy_that_hides_host_address_and_https_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"slow": False, "host": "127.0.0.1:8000", "visitor": "10.0.0.7", "has_address": False, "is_secure": False}
    seen |= {"seconds": 0}
    monkeypatch.setattr(public_address, "_ask", lambda *_, **__: (200, json.dumps(seen).encode()))

    assert [finding.text for finding in public_address.check("https://signup.example.com")] == [
        "It doesn't pass Host on.",
        "It doesn't set X-Forwarded-For.",
        "The page can't tell that visitors use HTTPS.",
    ]


# The page for administrators


def test_administrators_see_the_last_result(client: Client) -> None:
    Diagnosis.objects.create(
        findings=[{"subject": "Workers", "level": "failure", "text": "No worker is running.", "fix": "Start one."}]
    )
    client.force_login(User.objects.create_superuser("dora"))

    page = client.get("/admin/signup/diagnosis/").content.decode()
    assert "<h1>Installation check</h1>" in page
    assert "Failure</span> <strong>Workers</strong>: No worker is running. <small>Start one.</small>" in page


def test_failures_are_named_in_the_overview_and_on_the_page_on_health(client: Client) -> None:
    client.force_login(User.objects.create_superuser("dora"))
    assert "Not run yet" in client.get("/admin/health/").content.decode()

    keep(
        [
            warning("Clock", "It is off.", "Turn on NTP."),
            failure("Workers", "None runs.", "Start one."),
            ok("Quota", ""),
        ]
    )

    overview, health = (client.get(path).content.decode() for path in ("/admin/", "/admin/health/"))
    assert '<a href="/admin/health/#check">The last installation check failed: Workers.</a>' in overview
    first, second = (
        health.index("<strong>Workers</strong>: None runs."),
        health.index("<strong>Clock</strong>: It is off."),
    )
    assert health.index("Failure</span>") < first < health.index("What to do: Start one.") < second

    keep([ok("Quota", "Little is used.")])
    assert "installation check failed" not in client.get("/admin/").content.decode()
    assert "Passed</span>" in client.get("/admin/health/").content.decode()


def test_only_the_last_result_is_kept(sandbox: Server) -> None:
    doctor()
    doctor()

    assert Diagnosis.objects.count() == 1
