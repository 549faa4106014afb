"""What the doctor finds out about Constant Contact: the connection, credentials, quota, and list."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Gateway
from provisioning.sandbox import Server
from signup.doctor import Finding, Level, provider
from tests.certificates import certify
from tests.checkout import ROOT
from tests.signup.doctor.conftest import NOWHERE, doctor, levels

pytestmark = pytest.mark.django_db


def test_a_locked_gateway_is_not_blamed_on_constant_contact(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gateway, "acquire_permit", Mock(side_effect=OperationalError("database is locked")))

    assert doctor() == 2

    assert "Credentials: Not checked. The database is locked by another session." in capsys.readouterr().out


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


def test_placeholders_of_compose_are_never_sent(sandbox: Server, settings: Settings) -> None:
    """A refused login would stop the gateway for all workers."""
    assert f"CONSTANT_CONTACT_PASSWORD: {provider.NOT_HERE}\n" in (ROOT / "compose.yaml").read_text()
    settings.CONSTANT_CONTACT_API_KEY = settings.CONSTANT_CONTACT_PASSWORD = provider.NOT_HERE

    (finding,) = provider.check_credentials()

    assert (finding.level, "docker compose exec worker" in finding.fix) == (Level.WARNING, True)
    assert not sandbox.provider.calls
