"""A receiver of events on this machine: a real HTTP server that records what it gets, and answers as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    def verify(self, secret: str) -> dict[str, Any]:
        """Verify the signature as a receiver would, and return the event."""
        event: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return event


@dataclass
class Answer:
    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answers = Callable[[Received], Answer]


def fails(status: int = 500, **headers: str) -> Answers:
    return lambda received: Answer(status, headers={name.replace("_", "-"): text for name, text in headers.items()})


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing about a client that has gone."""


def on_this_machine(handler: type[BaseHTTPRequestHandler]) -> Server:
    return Server(("127.0.0.1", 0), handler)


class Receiver:
    """Use it as a context. `answer` is called with each request, on a thread of its own."""

    def __init__(
        self,
        answer: Answers | None = None,
        *,
        server: Callable[[type[BaseHTTPRequestHandler]], Server] = on_this_machine,
    ) -> None:
        self.received: list[Received] = []
        self.answer: Answers = answer or (lambda received: Answer())
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # The caller died while sending it.
                    return
                received = Received(self.path, {name.lower(): text for name, text in self.headers.items()}, body)
                receiver.received.append(received)
                answer = receiver.answer(received)
                self.send_response(answer.status)
                for name, text in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = server(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/events"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def types(self) -> list[str]:
        return [received.event["type"] for received in self.received]

    @property
    def ids(self) -> list[str]:
        return [received.id for received in self.received]
