"""Run several processes that start and end together."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connections

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_together(
    *commands: Sequence[str] | Callable[[], object],
    environment: Mapping[str, str] | None = None,
    at_once: bool = False,
) -> bool:
    """Run the commands until one of them ends, or until SIGTERM or SIGINT; then end the others, last one first.

    A command is a program with its arguments, started in `environment`, or a function, which runs in a fork of this
    process: forks share the memory of all that is loaded. Each gets a SIGTERM and is waited for before the next one
    gets it, or, with `at_once`, all get it at the same time. A second signal is passed on to all of them at once.
    Returns True if the end was requested by a signal, False if a command ended on its own.
    """
    children: list[subprocess.Popen[bytes] | Fork] = []
    requested = False

    def end(*_: Any) -> None:
        nonlocal requested
        if requested:
            for child in children:
                child.terminate()
        requested = True

    for number in SIGNALS:
        signal.signal(number, end)
    try:
        children.extend(_start(command, environment) for command in commands)
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


def _start(
    command: Sequence[str] | Callable[[], object], environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes] | Fork:
    """Start a command in a process group of its own: Ctrl-C in a terminal reaches it only through us, and only once."""
    if callable(command):
        return Fork(command)
    return subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, process_group=0)


class Fork:
    """A fork of this process that runs one function and then ends. It has the methods of `Popen` that are used here."""

    def __init__(self, function: Callable[[], object]) -> None:
        connections.close_all()  # Processes can't share one.
        gc.freeze()  # A garbage collection would write to shared memory, and so copy it.
        self._process = multiprocessing.get_context("fork").Process(target=_run, args=(function,))
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # Until the fork no longer treats them like this process.
        self._process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def poll(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self) -> None:
        self._process.join()


def _run(function: Callable[[], object]) -> None:
    os.setpgrp()
    os.chdir(settings.BASE_DIR)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        function()
    finally:
        atexit._run_exitfuncs()  # `multiprocessing` doesn't, and telemetry sends what it has left.
