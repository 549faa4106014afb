"""A wrapper for Firefox that Playwright starts: `python firefox.py /path/to/firefox …`.

Playwright drives a distribution's Firefox by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), and may be newer
than it. Emulation settings that this Firefox does not know yet are dropped, so that the test can go on. Every other
message passes unchanged.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.sync.server import serve

MEDIA = "emulation.setMediaFeaturesOverride"
LISTENS = re.compile(r"(?<=WebDriver BiDi listening on )ws://\S+")

PLAIN: dict[str, Any] = {"max_size": None, "compression": None, "ping_interval": None}
"""Firefox does not answer pings."""


def starter(firefox: str, directory: Path) -> str:
    """Write a program that Playwright starts instead of Firefox, and return its path."""
    program = directory / "firefox"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{firefox}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def relay(address: str, playwright: Connection) -> None:
    """Pass messages on in both directions until either side ends."""
    commands: dict[int, str] = {}

    def question(message: str) -> str:
        command = json.loads(message)
        commands[command["id"]] = command["method"]
        return message

    def answer(message: str) -> str:
        said = json.loads(message)
        command = commands.pop(said["id"], "") if said.get("id") else ""
        if said.get("error") == "unknown command" and command == MEDIA:
            return json.dumps({"type": "success", "id": said["id"], "result": {}})
        return message

    with connect(f"{address}/session", **PLAIN) as browser:
        threading.Thread(target=pass_on, args=(browser, playwright, answer), daemon=True).start()
        pass_on(playwright, browser, question)


def pass_on(source: Connection, target: Connection, through: Callable[[str], str]) -> None:
    try:
        for message in source:
            target.send(through(str(message)))
    except ConnectionClosed:
        pass
    finally:
        target.close()


def main(command: list[str]) -> None:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as firefox:
        assert firefox.stderr
        for line in firefox.stderr:
            if found := LISTENS.search(line):
                line = LISTENS.sub(listen_for(found[0]), line)
            sys.stderr.write(line)
            sys.stderr.flush()


def listen_for(address: str) -> str:
    """Return the address that Playwright connects to instead of Firefox's own."""
    server = serve(lambda playwright: relay(address, playwright), "127.0.0.1", 0, **PLAIN)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"ws://127.0.0.1:{server.socket.getsockname()[1]}"


if __name__ == "__main__":
    main(sys.argv[1:])
