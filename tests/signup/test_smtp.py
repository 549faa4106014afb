"""A mail server that drips: whatever it does, an email takes no longer than its deadline."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from smtplib import SMTPException, SMTPServerDisconnected
from typing import Any

import pytest
from django.core.mail import EmailMessage, get_connection
from pytest_django import Settings

from provisioning.models import Account
from signup import emails, smtp
from signup.models import Mail
from tests.certificates import certify
from tests.signup.emails.conftest import told_of

Talk = Callable[[socket.socket], object]
INTERVAL = 0.02


def drip(text: bytes) -> Talk:
    """Return a conversation that sends this again and again until the client has gone."""

    def talk(client: socket.socket) -> None:
        gone = threading.Event()
        while not gone.wait(INTERVAL):
            try:
                client.sendall(text)
            except OSError:
                gone.set()

    return talk


def greet_and_drip(client: socket.socket) -> None:
    client.sendall(b"220 mail.example.com\r\n")
    client.recv(1024)
    drip(b"250-mail.example.com\r\n")(client)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def mail_server(talk: Talk) -> Iterator[int]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            talk(self.request)

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(autouse=True)
def real_mail(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "DEADLINE", 0.3)
    settings.EMAIL_BACKEND = "signup.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"


@pytest.mark.parametrize(
    "talk",
    [drip(b"220-wait\r\n"), drip(b"2"), greet_and_drip],
    ids=["line by line", "byte by byte", "after its greeting"],
)
def test_a_server_that_drips_its_answer_is_timed_out(talk: Talk) -> None:
    with mail_server(talk) as port, pytest.raises(SMTPException):
        get_connection(port=port).send_messages(
            [EmailMessage("Ready", "Ready", "signup@example.com", ["anna@example.com"])]
        )


def test_half_a_greeting_is_no_connection() -> None:
    """smtplib takes what came of a line for an answer. Without this, the doctor called such a server well."""
    with mail_server(drip(b"220 mail.example.com ")) as port, pytest.raises(SMTPServerDisconnected):
        get_connection(port=port).open()


def test_a_server_that_drips_over_tls_is_timed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certify(tmp_path / "certificate", tmp_path / "key")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    ours = ssl.create_default_context(cafile=str(tmp_path / "certificate"))

    def talk(client: socket.socket) -> None:
        with theirs.wrap_socket(client, server_side=True) as encrypted:
            drip(b"220-wait\r\n")(encrypted)

    with mail_server(talk) as port:
        backend: Any = get_connection(port=port, use_ssl=True)
        backend.ssl_context = ours
        with pytest.raises(SMTPServerDisconnected):
            backend.open()


@pytest.mark.django_db
def test_an_email_is_retried_after_a_dripping_server_did_not_take_it(settings: Settings) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": settings.EMAIL_BACKEND}
    settings.DEFAULT_FROM_EMAIL = "signup@example.com"
    told_of(Account.State.CREATED)
    with mail_server(drip(b"220-wait\r\n")) as settings.EMAIL_PORT:
        emails.send_due()

    message = Mail.objects.get()
    assert message.problem == "SMTPServerDisconnected"
    assert message.due_at


@pytest.mark.django_db
def test_an_ending_process_starts_no_email(settings: Settings) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": settings.EMAIL_BACKEND}
    told_of(Account.State.CREATED)
    ending = threading.Event()
    ending.set()

    emails.send_due(ending)

    assert Mail.objects.get().tries == 0
