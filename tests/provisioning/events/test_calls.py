"""One call: its deadline, however slowly a receiver answers, and what is kept of the answer."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from provisioning.events import calls
from provisioning.events.calls import MAX_STORED, Call, Result
from tests.provisioning.constant_contact.peer import peer
from tests.provisioning.events.receiver import Answer, Receiver

PATIENCE = 10.0
"""Seconds. A dripping receiver would hold up a call for much longer."""


REQUEST = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"


def post(url: str) -> Result:
    return calls.make(Call(url, {"Content-Type": "application/json"}, b"{}"))


@contextmanager
def answering(listener: socket.socket, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Serve one connection, which ends before this context does."""

    def one() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):  # The caller has gone.
            serve(connection)

    thread = threading.Thread(target=one)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


def drips(*parts: bytes) -> Callable[[socket.socket], None]:
    """Send all but the last part at once, and then the last one, byte by byte, forever."""

    def say(connection: socket.socket) -> None:
        for part in parts[:-1]:
            connection.sendall(part)
        while True:
            connection.sendall(parts[-1])
            time.sleep(0.02)

    return say


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "DEADLINE", 0.3)


@pytest.mark.usefixtures("short_deadline")
class TestTheDeadline:
    @pytest.mark.parametrize(
        "parts",
        [
            (b"H",),
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"x"),
            (b"HTTP/1.1 ", b"100 Continue\r\n\r\nHTTP/1.1 "),
        ],
        ids=["status", "headers", "one header", "interim answers"],
    )
    def test_ends_a_call_whose_answer_drips(self, parts: tuple[bytes, ...]) -> None:
        began = time.monotonic()
        with peer(drips(*parts)) as receiver:
            result = post(receiver.url)
        assert time.monotonic() - began < PATIENCE
        assert result.status is None
        assert result.problem

    def test_ends_a_call_that_gets_no_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            result = post(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert result.problem.startswith("No answer within")

    def test_ends_an_encrypted_connection_that_is_never_established(self) -> None:
        """The first bytes of a handshake announce a long message, whose bytes come one by one."""
        hello = b"\x16\x03\x03\x40\x00"
        began = time.monotonic()
        with socket.create_server(("127.0.0.1", 0)) as listener, answering(listener, drips(hello, b"\x02")):
            result = post(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        assert time.monotonic() - began < PATIENCE
        assert result.problem.startswith("No answer within")

    @pytest.mark.parametrize("header", [b"Content-Length: 99999", b"Connection: close"])
    def test_keeps_a_status_whose_answer_never_ends(self, header: bytes) -> None:
        with peer(drips(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n", b"x")) as receiver:
            result = post(receiver.url)
        assert result.is_delivered
        assert result.duration.total_seconds() < PATIENCE


def test_at_most_64_kilobytes_are_read() -> None:
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent.append(connection.send(b"x" * 65536))

    with peer(endless) as receiver:
        result = post(receiver.url)
    assert result.is_delivered
    assert result.answer == "x" * MAX_STORED
    assert sum(sent) < 16_000_000  # What fits into the buffers of two sockets.


def test_nothing_is_unpacked() -> None:
    with Receiver(lambda received: Answer(200, b"\x1f\x8b junk", {"Content-Encoding": "gzip"})) as receiver:
        result = post(receiver.url)
        assert receiver.received[0].headers["accept-encoding"] == "identity"
    assert result.is_delivered
    assert "junk" in result.answer


def test_a_certificate_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [*REQUEST.split(), "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            requests.append(encrypted.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener, answering(listener, serve):
        result = post(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert "certificate" in result.problem
    assert requests == []


@pytest.mark.parametrize(
    ("status", "delivered"), [(200, True), (204, True), (299, True), (300, False), (304, False), (404, False)]
)
def test_only_2xx_means_delivered(status: int, delivered: bool) -> None:
    with Receiver(lambda received: Answer(status)) as receiver:
        assert post(receiver.url).is_delivered == delivered


@pytest.mark.parametrize("said", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n"])
def test_what_is_no_answer_is_a_problem(said: bytes) -> None:
    with peer(lambda connection: connection.sendall(said)) as receiver:
        result = post(receiver.url)
    assert (result.status, result.is_delivered) == (None, False)
    assert result.problem


def test_nobody_there_is_a_problem_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "connection failed" in post(f"http://127.0.0.1:{port}/").problem
