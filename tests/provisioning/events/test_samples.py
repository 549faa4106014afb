"""The samples in docs/events.md work: each receiver takes what is genuine, and refuses what is forged."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from provisioning.events import calls, payload
from provisioning.events.calls import Call
from provisioning.models import Endpoint, Event
from provisioning.sealed import Sealed
from tests.checkout import ROOT
from tests.patience import PATIENCE
from tests.postgresql import free_port
from tests.provisioning.events.queue import SECRET, an_event, endpoint
from tests.provisioning.events.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

DOCUMENT = (ROOT / "docs/events.md").read_text()
COMMANDS = {
    "python": (sys.executable, "receiver.py"),
    "js": ("node", "receiver.js"),
    "php": ("php", "-S", "127.0.0.1:{port}", "receiver.php"),
}


def sample(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


@contextmanager
def running(language: str, folder: Path) -> Iterator[str]:
    """Run a sample receiver, and yield its URL."""
    program, *arguments = COMMANDS[language]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed here.")
    (folder / arguments[-1]).write_text(sample(language))
    port = free_port()
    environment = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": SECRET}
    command = [program, *(argument.format(port=port) for argument in arguments)]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def send(url: str, event: Event, told: Endpoint, **changes: str) -> int | None:
    """Send an event as the worker would, with changed headers or another body. Return the status of the answer."""
    text = payload.body(event, told, {})
    headers = payload.headers(event, told, text) | {name: value for name, value in changes.items() if "-" in name}
    return calls.make(Call(url, headers, changes.get("body", text).encode())).status


@pytest.mark.parametrize("language", COMMANDS)
def test_a_sample_receiver_tells_genuine_events_from_forged_ones(language: str, tmp_path: Path) -> None:
    event = an_event(data={"reason": "Zoë's key is inactive."})
    with running(language, tmp_path) as url:
        told = endpoint(url)
        assert send(url, event, told) == 204
        assert send(url, event, told) == 204
        assert send(url, event, told, body="{}") == 401
        assert send(url, event, told, **{"webhook-id": "msg_other"}) == 401
        assert send(url, event, told, **{"webhook-timestamp": "1700000000"}) == 401
        assert send(url, event, told, **{"webhook-signature": "v1,"}) == 401
        assert send(url, event, told, **{"webhook-signature": "junk"}) != 204
        told.secret, told.previous_secret = Sealed.of(payload.new_secret()), told.secret
        assert send(url, event, told) == 401
        told.rotated_at = Event.objects.get().at
        assert send(url, event, told) == 204


def test_the_sample_with_curl_sends_a_genuine_event() -> None:
    if not (shutil.which("curl") and shutil.which("openssl")):
        pytest.skip("curl or openssl is not installed here.")
    with Receiver() as receiver:
        environment = os.environ | {"WEBHOOK_SECRET": SECRET, "RECEIVER_URL": receiver.url}
        said = subprocess.run(["sh", "-c", sample("sh")], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "204\n"
    assert receiver.received[0].verify(SECRET)["type"] == "endpoint.test"
