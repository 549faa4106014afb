"""HTTP: connections, bodies that are too large or malformed, and closing."""

import http.client
import json
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from provisioning.sandbox import Server
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import PATH, Partner, provider, until
from tests.provisioning.values import SIGN_UP


def test_a_connection_serves_many_calls(sandbox: Server, partner: Partner) -> None:
    partner.page()
    line = partner.connection.sock

    for name in ("anna", "anna", "Anna"):
        partner.create(name)

    assert partner.page().status == 200
    assert partner.connection.sock is line


def test_the_answer_to_head_has_no_body(sandbox: Server) -> None:
    assert exchange(sandbox, f"HEAD {PATH} HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")


def test_a_hundred_partners_are_served_at_once(sandbox: Server) -> None:
    barrier = threading.Barrier(100)

    def create(number: int) -> int:
        with Partner(sandbox.url) as partner:
            barrier.wait()
            return partner.create(f"anna{number}").status

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(create, range(100))) == {201}
    assert len(sandbox.provider.accounts) == 100


def test_every_answer_takes_as_long_as_the_latency() -> None:
    with Server(provider(latency=0.2)) as server, Partner(server.url) as partner:
        started = time.monotonic()
        partner.page()
        partner.page()

        assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    "header", ["Content-Length: 1000000", "Content-Length: x", "Content-Length: -1", "Content-Length: " + "9" * 5000]
)
def test_an_unreadable_body_is_refused(sandbox: Server, header: str) -> None:
    assert b" 413 " in exchange(sandbox, f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n")


def test_a_chunked_body_is_refused(sandbox: Server) -> None:
    request = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

    assert b" 413 " in exchange(sandbox, request)


def test_an_incomplete_request_is_dropped(sandbox: Server) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.server_address[1]), timeout=PATIENCE) as line:
        line.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{{".encode())
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    assert not sandbox.provider.calls


def test_invalid_http_is_refused_and_not_logged(
    sandbox: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert b"400" in exchange(sandbox, "what is api_key=secret\r\n\r\n")

    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_a_disconnecting_client_is_not_logged(sandbox: Server, capfd: pytest.CaptureFixture[str]) -> None:
    sandbox.provider.delay = 0.2
    sandbox.provider.fail_next("create", "slow")
    with Partner(sandbox.url) as partner:
        partner.connection.request("POST", f"{PATH}?api_key={partner.key}", json.dumps(SIGN_UP), partner.headers)
        until(lambda: sandbox.provider.calls)
        partner.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    until(lambda: not sandbox._connections)

    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("fault", ["hang-before", "slow", "trickle"])
def test_the_server_closes_at_once_whatever_is_in_progress(fault: str) -> None:
    with ThreadPoolExecutor(1) as pool, ExitStack() as partners:
        with Server(provider()) as server:
            server.provider.hang = server.provider.delay = server.provider.trickle = 1_000_000.0
            idle, busy = (partners.enter_context(Partner(server.url)) for _ in range(2))
            idle.page()
            server.provider.fail_next("create", fault)
            creating = pool.submit(busy.create)
            until(lambda: len(server.provider.calls) == 2)

        for call in (creating.result, idle.page):
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                call()


def test_a_server_can_restart_on_the_same_port() -> None:
    with Server(provider()) as server, Partner(server.url) as partner:
        partner.page()

    with Server(provider(), port=server.server_address[1]) as server, Partner(server.url) as partner:
        assert partner.page().status == 200


def test_a_taken_port_is_an_error(sandbox: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(provider(), port=sandbox.server_address[1])


def exchange(server: Server, request: str) -> bytes:
    """The bytes received until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=PATIENCE) as line:
        line.sendall(request.encode())
        return b"".join(iter(lambda: line.recv(65536), b""))
