"""Run several processes that start and end together."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings


def run_together(*commands: Sequence[str], environment: Mapping[str, str] | None = None, at_once: bool = False) -> bool:
    """Run the commands until one of them ends, or until SIGTERM or SIGINT; then end the others, last one first.

    Each gets a SIGTERM and is waited for before the next one gets it, or, with `at_once`, all get it at the same time.
    A second signal is passed on to all of them at once. Returns True if the end was requested by a signal, False if a
    command ended on its own.
    """
    children: list[subprocess.Popen[bytes]] = []
    requested = False

    def end(*_: Any) -> None:
        nonlocal requested
        if requested:
            for child in children:
                child.terminate()
        requested = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        # Each has its own process group, so that Ctrl-C in a terminal reaches it only through us, and only once.
        children.extend(
            subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, process_group=0) for command in commands
        )
        while not requested and all(child.poll() is None for child in children):
            time.sleep(0.1)
        return requested
    finally:
        for child in children if at_once else ():
            child.terminate()
        for child in reversed(children):
            if not at_once:
                child.terminate()
            child.wait()
