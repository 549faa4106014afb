"""A receiver of error reports and traces, and an installation that fails while secrets are around."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings

from provisioning.sandbox import Server
from tests.checkout import Checkout
from tests.environment import CANARIES
from tests.provisioning.sandbox.partner import provider
from tests.signup.accounts import TYPED

BROKEN = {
    "provisioning/services/__init__.py": """
_stores = submit
def submit(account, **options):
    from django.db import IntegrityError
    typed = vars(account)
    if not account.username.endswith("-fails"):
        return _stores(account, **options)
    try:
        raise IntegrityError(f"INSERT INTO account VALUES ({typed})")
    except IntegrityError as error:
        raise RuntimeError(f"{typed} {account.password.text}", typed) from error
""",
    "provisioning/services/workers.py": """
def provision(claim):
    sent = claim.properties
    raise RuntimeError(f"{sent} {settings.CONSTANT_CONTACT_API_KEY} {settings.CONSTANT_CONTACT_PASSWORD}", sent)
""",
}
"""Module → what is added to it. A sign-up as `anna-fails`, and every call, fail with all values in their messages."""
PLANTED = {name: f"canary-{name}" for name in ("query", "header", "agent")}
HARMLESS = {"country_code", "state_code", "language"}
SECRETS = {
    *CANARIES.values(),
    *PLANTED.values(),
    *(value for name, value in TYPED.items() if name not in HARMLESS and len(value) > 3),
    settings.SECRET_KEY,
    settings.SEALING_KEYS[0],
}


class Receiver:
    """A server that accepts everything, and keeps each request's path, headers, and unpacked body as text."""

    def __init__(self) -> None:
        self.received: list[str] = []
        handler = type("Handler", (_Handler,), {"received": self.received})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self.server.server_port}"

    @property
    def said(self) -> str:
        return "\n".join(self.received)


class _Handler(BaseHTTPRequestHandler):
    received: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unpacked = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        self.received.append(f"{self.path}\n{self.headers}\n{unpacked.decode(errors='replace')}")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    threading.Thread(target=receiver.server.serve_forever, daemon=True).start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Checkout]:
    """Return an installation in which sign-ups and calls fail. Without the extras, skip the test."""
    if not (find_spec("sentry_sdk") and find_spec("opentelemetry")):
        pytest.skip("The extras are not installed: pip install -r requirements-extras.txt")
    checkout = Checkout(tmp_path)
    with Server(provider()) as sandbox:
        checkout.environment |= {
            "DEBUG": "true",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECRET_KEY": settings.SECRET_KEY,
            "SEALING_KEYS": settings.SEALING_KEYS[0],
            "ABUSE_PROTECTION": "false",
            "CONSTANT_CONTACT_URL": sandbox.url,
            "CONSTANT_CONTACT_USERNAME": "partner",
            **CANARIES,
        }
        assert checkout.run("manage.py", "migrate", "-v0").returncode == 0
        for module, added in BROKEN.items():
            with (checkout.directory / module).open("a") as file:
                file.write(added)
        yield checkout
        checkout.end()
