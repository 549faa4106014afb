"""A visitor of a page behind a reverse proxy, by HTTPS and by hand."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import Message

from tests.certificates import HOST
from tests.deploy.proxy import Proxy
from tests.patience import PATIENCE

HALF = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nx".encode()
HALF_GET = HALF.replace(b"POST", b"GET")
HALF_CHUNKED_GET = HALF_GET.replace(b"Content-Length: 10", b"Transfer-Encoding: chunked").removesuffix(b"x")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    text: str


def ask(proxy: Proxy, path: str = "/", method: str = "GET", body: str | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPSConnection(HOST, proxy.port, timeout=PATIENCE, context=proxy.trusting)
    return answer_of(connection, path, method, body, {"Host": HOST} | headers)  # As on port 443.


def answer_of(
    connection: http.client.HTTPConnection,
    path: str = "/",
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    with closing(connection):
        connection.request(method, path, body, headers or {})
        with connection.getresponse() as answer:
            return Answer(answer.status, answer.headers, answer.read().decode())


def open_slowly(proxy: Proxy, half: bytes = HALF) -> ssl.SSLSocket:
    """Open a connection and send a request without most of its body."""
    plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
    slow = proxy.trusting.wrap_socket(plain, server_hostname=HOST)
    slow.sendall(half)
    return slow
