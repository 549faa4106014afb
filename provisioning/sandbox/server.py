"""The sandbox's server: HTTP/1.1 with persistent connections, on the loopback interface only."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from provisioning.sandbox.faults import Delivery
from provisioning.sandbox.messages import Answer, Request
from provisioning.sandbox.provider import Provider
from provisioning.sandbox.v3 import TOKEN_PATH


class Server(ThreadingTCPServer):
    """Serves a provider at `url`, as a context manager; on exit it drops all connections at once.

    Access tokens for v3 are issued at `token_url`. Without a `port` it uses a free one. Raises OSError if the port is
    taken.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, provider: Provider, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _RequestHandler)
        self.provider = provider
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def token_url(self) -> str:
        return self.url + TOKEN_PATH

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.closing.set()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().close_request(request)


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # The client has disconnected.
            super().handle()

    def answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,6}", length) or "Transfer-Encoding" in self.headers:
            self.send_error(413)  # No documented request is this large, or chunked.
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # RFC 9112, 8: the client left before the request was complete.
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=self.headers,
            body=body,
        )
        reply = self.server.provider.reply(request)
        if self.server.closing.wait(self.server.provider.latency + reply.wait):
            self.close_connection = True
        else:
            self._deliver(reply.answer, reply.delivery)

    def __getattr__(self, name: str) -> Any:
        """Handle `do_GET` and all other methods by `answer`: the provider decides what a method means."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Log nothing: the request line contains the API key. The provider logs each call without it."""

    def _deliver(self, answer: Answer, delivery: Delivery) -> None:
        match delivery:
            case Delivery.WHOLE:
                self.wfile.write(self._bytes(answer))
            case Delivery.TRICKLED:
                for byte in self._bytes(answer):
                    self.wfile.write(bytes([byte]))
                    if self.server.closing.wait(self.server.provider.trickle):
                        break
            case Delivery.NEVER:
                self.server.closing.wait(self.server.provider.hang)
                self.close_connection = True
            case Delivery.RESET:
                self._reset()

    def _bytes(self, answer: Answer) -> bytes:
        """Return header and body together, so that they are sent in one packet."""
        headers = {
            "Date": self.date_time_string(),
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
        return head if self.command == "HEAD" else head + answer.body

    def _reset(self) -> None:
        """Close with a reset: with a linger time of zero, TCP sends RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True
