"""Several processes that live and die as one."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings


def run_together(*commands: Sequence[str], environment: Mapping[str, str] | None = None) -> bool:
    """Run the commands until one of them ends, or until SIGTERM or SIGINT; then end the others, the last one first.

    Each is told by SIGTERM and waited for. A further signal is passed on to all of them at once. Returns whether the
    end was asked for; False means that a command ended by itself.
    """
    children: list[subprocess.Popen[bytes]] = []
    asked = False

    def end(*_: Any) -> None:
        nonlocal asked
        if asked:
            for child in children:
                child.terminate()
        asked = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        # Each in a process group of its own, so that Ctrl-C in a terminal reaches it through us only, and once.
        children.extend(
            subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, process_group=0) for command in commands
        )
        while not asked and all(child.poll() is None for child in children):
            time.sleep(0.1)
        return asked
    finally:
        for child in reversed(children):
            child.terminate()
            child.wait()
