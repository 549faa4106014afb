"""A provider that drips, hangs, or never ends: each login ends in time, few threads wait, and none reads on."""

import gzip
import socket
import time
from collections.abc import Callable

import pytest
from django.test import Client

from signup.single_sign_on import calls
from tests.provisioning.constant_contact.deadline import deadline_once
from tests.provisioning.constant_contact.peer import answering
from tests.signup.single_sign_on.provider import DESCRIPTION, KEYS, TOKEN, USER_INFO, Provider

pytestmark = [pytest.mark.django_db, pytest.mark.once]

UNREACHABLE = "The login service"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, forever: no wait for the next one is long."""
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n{")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def drip_and_close(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Connection: close\r\n\r\n{")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"X-A: b\r\n")
        time.sleep(0.02)


def flood(connection: socket.socket) -> None:
    """Answer without an end, as fast as it is read."""
    connection.sendall(HEAD + b"\r\n{")
    while True:
        connection.sendall(b" " * 65536)


def hang(connection: socket.socket) -> None:
    connection.recv(1)


PATHS = pytest.mark.parametrize("path", [DESCRIPTION, TOKEN, KEYS, USER_INFO])


@PATHS
@pytest.mark.parametrize("say", [drip, drip_and_close, drip_headers, hang])
def test_a_login_ends_at_its_deadline(
    client: Client, provider: Provider, path: str, say: Callable[[socket.socket], None]
) -> None:
    provider.says[path] = say

    with deadline_once(lambda: path in provider.asked) as timeouts:
        answer = provider.come_back(client)

    assert UNREACHABLE in answer.text
    assert all(timeout <= calls.DEADLINE for timeout in timeouts)


def test_all_calls_of_a_login_share_one_deadline(client: Client, provider: Provider) -> None:
    assert provider.come_back(client).status_code == 302
    provider.says[USER_INFO] = hang

    with deadline_once(lambda: provider.asked.count(USER_INFO) == 2) as timeouts:
        provider.come_back(client)

    assert timeouts == sorted(timeouts, reverse=True)
    assert len(set(timeouts)) == 3


def test_when_its_time_is_over_the_provider_is_not_asked(
    client: Client, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "DEADLINE", 0)

    assert UNREACHABLE in provider.come_back(client).text
    assert provider.asked == []


@PATHS
def test_an_answer_that_never_ends_is_not_read(client: Client, provider: Provider, path: str) -> None:
    provider.says[path] = flood

    with deadline_once(lambda: False):
        assert UNREACHABLE in provider.come_back(client).text


def test_a_compressed_answer_is_not_unpacked_without_a_limit(client: Client, provider: Provider) -> None:
    packed = gzip.compress(b'{"keys": []' + b" " * 50_000_000 + b"}")
    provider.says[KEYS] = answering(200, packed, "Content-Type: application/json\r\nContent-Encoding: gzip")

    assert UNREACHABLE in provider.come_back(client).text


@PATHS
def test_a_redirect_is_not_followed(client: Client, provider: Provider, path: str) -> None:
    provider.says[path] = answering(302, "{}", f"Location: {provider.issuer}/elsewhere")

    assert UNREACHABLE in provider.come_back(client).text
    assert provider.asked[-1] == path


def test_after_a_call_without_an_answer_one_thread_at_a_time_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_WAIT", 0)
    with calls.concurrency.limit(), calls.concurrency.limit():
        pass
    with pytest.raises(calls.NoAnswer), calls.concurrency.limit():
        raise calls.NoAnswer

    with pytest.raises(calls.Busy), calls.concurrency.limit(), calls.concurrency.limit():
        pass

    with calls.concurrency.limit():
        pass
    with calls.concurrency.limit(), calls.concurrency.limit():
        pass


def test_a_refused_code_slows_down_nobody(client: Client, provider: Provider) -> None:
    provider.says[TOKEN] = answering(400, '{"error": "invalid_grant"}')

    assert provider.come_back(client).status_code == 403
    assert not calls.concurrency.is_down
