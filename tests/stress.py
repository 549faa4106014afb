"""Run a command while something else keeps every core busy: `python -m tests.stress pytest …`."""

import multiprocessing
import os
import subprocess
import sys

EACH = 2
"""Busy processes per core, so that the command gets a third of the machine."""


def run(*command: str) -> int:
    """Run the command and return its exit status."""
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(EACH * (os.cpu_count() or 1))]
    for process in busy:
        process.start()
    try:
        return subprocess.call(command)
    finally:
        for process in busy:
            process.kill()


def _spin() -> None:
    while True:
        pass


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
