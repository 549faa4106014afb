"""Whether anything was sent when a connection fails, and when a call ends."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from urllib3.connection import HTTPConnection

from provisioning.constant_contact import Meaning, connect, v3
from provisioning.sandbox import Server
from provisioning.transport import IDLE
from tests.certificates import certify
from tests.provisioning.constant_contact.client.calls import ANNA, CREDENTIALS, PASSWORD, SECRET, ask, client
from tests.provisioning.constant_contact.deadline import deadline_once
from tests.provisioning.constant_contact.peer import answering, peer


def test_a_refused_connection_means_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = client(f"http://127.0.0.1:{port}").create(ANNA)
    assert (answer.meaning, answer.status) == (Meaning.UNSENT, None)
    assert "refused" in answer.problems[0].error_message


def test_an_unknown_host_name_means_nothing_was_sent() -> None:
    assert client("http://provider.invalid").create(ANNA).meaning == Meaning.UNSENT


def test_an_untrusted_certificate_means_nothing_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # They would override what the client turned off.
        monkeypatch.delenv(name, raising=False)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certify(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    received = b""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            nonlocal received
            with (
                contextlib.suppress(ssl.SSLError),
                context.wrap_socket(listener.accept()[0], server_side=True) as connection,
            ):
                received = connection.recv(1000)

        server = threading.Thread(target=accept)
        server.start()
        answer = client(f"https://localhost:{listener.getsockname()[1]}").create(ANNA)
        server.join()
    assert answer.meaning == Meaning.UNSENT
    assert not received


def test_a_failed_tls_handshake_means_nothing_was_sent() -> None:
    """A server without TLS answers the ClientHello with garbage."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_clear() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server = threading.Thread(target=answer_in_clear)
        server.start()
        answer = client(f"https://127.0.0.1:{listener.getsockname()[1]}").create(ANNA)
        server.join()
    assert answer.meaning == Meaning.UNSENT


@pytest.mark.parametrize(
    "say",
    [
        lambda connection: None,
        lambda connection: connection.sendall(b"HTTP/1.1 201 Created\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"),
        lambda connection: connection.sendall(b"nonsense\r\n\r\n"),
    ],
    ids=["hung up", "half a head", "half a body", "not HTTP"],
)
def test_a_broken_answer_is_unknown(say: Callable[[socket.socket], None]) -> None:
    assert ask(say).meaning == Meaning.UNKNOWN


def test_a_kept_connection_is_reused_for_the_next_call(sandbox: Server) -> None:
    one = client(sandbox.url)
    assert one.create(ANNA).meaning == Meaning.CREATED
    assert one.create(ANNA).meaning == Meaning.TAKEN


def test_a_failure_on_a_kept_connection_is_unknown() -> None:
    """A byte may have gone out unless the opposite is certain."""
    with peer(lambda connection: connection.sendall(b"HTTP/1.1 409 X\r\nContent-Length: 2\r\n\r\n[]")) as provider:
        one = client(provider.url)
        assert one.create(ANNA).meaning == Meaning.TAKEN
        assert one.create(ANNA).meaning in (Meaning.UNKNOWN, Meaning.TAKEN)


def test_a_connection_idle_for_too_long_is_not_reused(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    one = client(sandbox.url)
    one.create(ANNA)
    closed: list[bool] = []
    monkeypatch.setattr(one._transport, "close", lambda: closed.append(True))
    one.list_accounts()
    assert closed == []
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + IDLE + 1)
    one.list_accounts()
    assert closed == [True]


def trickle(connection: socket.socket, first: bytes, then: bytes) -> None:
    connection.sendall(first)
    while then:
        for byte in then:
            time.sleep(0.02)
            connection.sendall(bytes([byte]))
    connection.recv(1)


@pytest.mark.parametrize(
    "say",
    [
        lambda connection: trickle(connection, b"", b"H"),
        lambda connection: trickle(connection, b"HTTP/1.1 201 Created\r\n", b"X-A: b\r\n"),
        lambda connection: trickle(connection, b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n", b" "),
        lambda connection: trickle(connection, b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n", b" "),
        lambda connection: trickle(connection, b"HTTP/1.0 201 Created\r\n\r\n", b" "),
        lambda connection: trickle(connection, b"", b""),
    ],
    ids=["status line", "headers", "body", "last body", "body of old HTTP", "silence"],
)
def test_a_call_ends_at_its_deadline_however_slowly_bytes_arrive(say: Callable[[socket.socket], None]) -> None:
    with peer(say) as provider, deadline_once(lambda: provider.requests) as timeouts:
        answer = client(provider.url, timeout=77).create(ANNA)
    assert answer.meaning == Meaning.UNKNOWN
    assert timeouts == [77]
    ended = "We ended the call, because no complete answer came in time (CONSTANT_CONTACT_TIMEOUT)."
    assert {problem.error_message for problem in answer.problems} <= {ended}


def test_a_call_on_a_kept_connection_ends_at_its_deadline_too() -> None:
    asked: list[bytes] = []

    def answer_once(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 409 X\r\nContent-Length: 2\r\n\r\n[]")
        asked.append(connection.recv(1))
        trickle(connection, b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n", b" ")

    with peer(answer_once) as provider, deadline_once(lambda: asked):
        one = client(provider.url, timeout=77)
        assert one.create(ANNA).meaning == Meaning.TAKEN
        assert one.create(ANNA).meaning == Meaning.UNKNOWN
    assert len(provider.requests) == 1


def test_an_endless_tls_handshake_is_cut_off_with_nothing_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = client(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3).create(ANNA)
    assert answer.meaning == Meaning.UNSENT


def test_nothing_is_sent_after_the_deadline(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving a host name can take longer than any timeout; by then another worker may have the account."""
    one = client(sandbox.url, timeout=0.05)
    connecting = one._transport.connecting

    def connect_late(connection: HTTPConnection) -> None:
        connecting(connection)
        time.sleep(0.2)

    monkeypatch.setattr(one._transport, "connecting", connect_late)
    answer = one.create(ANNA)
    assert answer.meaning == Meaning.UNSENT
    assert "before it was sent" in answer.problems[0].error_message
    assert not sandbox.provider.calls


def test_a_canceled_call_was_not_sent(sandbox: Server) -> None:
    one = client(sandbox.url)

    def call_off() -> None:
        raise LookupError("canary")

    answer = one.create(ANNA, call_off)
    assert answer.meaning == Meaning.RETRY
    assert answer.problems[0].error_message == "The call was canceled before it was sent."
    assert not sandbox.provider.calls


def test_a_bug_of_ours_is_logged_without_its_message(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = client(sandbox.url)
    monkeypatch.setattr(one, "_exchange", lambda *_, **__: dict[str, str]()[SECRET])
    assert one.create(ANNA).meaning == Meaning.UNSENT
    assert "call failed error=KeyError" in caplog.text
    assert SECRET not in caplog.text


def test_credentials_in_any_script_authenticate() -> None:
    with peer(answering(201, '{"id": "1"}')) as provider:
        one = connect("v2", replace(CREDENTIALS, url=provider.url, password="č" + PASSWORD), timeout=5)
        assert one.create(ANNA).meaning == Meaning.CREATED
    assert f"Basic {base64.b64encode(f'partner:č{PASSWORD}'.encode()).decode()}" in provider.requests[0]


@pytest.mark.parametrize("key", ["канарейка", "canary\r\nkey"])
def test_a_request_that_cannot_be_sent_was_not_sent(sandbox: Server, key: str) -> None:
    """It has a v3 header that no HTTP library sends."""
    v3.TOKENS.clear()
    one = connect("v3", replace(CREDENTIALS, url=sandbox.url, api_key=key), timeout=5)
    shared = v3.TOKENS[one.credentials]
    shared.token, shared.until = "token", time.monotonic() + 999
    assert one.create(ANNA).meaning == Meaning.UNSENT


def test_a_bug_of_ours_after_sending_leaves_the_result_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.constant_contact.client.decode", lambda *_: dict[str, str]()["canary"])
    assert ask(answering(201, '{"id": "1"}')).meaning == Meaning.UNKNOWN


def test_a_watchdog_leaves_no_thread_behind(sandbox: Server) -> None:
    one = client(sandbox.url)
    one.list_accounts()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
            assert not thread.is_alive()


def test_the_watchdog_tolerates_a_peer_that_disconnects_first(sandbox: Server) -> None:
    one = client(sandbox.url)
    one.list_accounts()
    with contextlib.closing(one):
        one._transport._disconnect()
        one._transport._disconnect()
    one._transport._disconnect()
