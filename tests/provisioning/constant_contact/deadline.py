"""Deadlines of calls that are triggered by an event instead of the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def deadline_once(happened: Callable[[], object]) -> Iterator[list[float]]:
    """End each call in this context as soon as `happened()` is true, whatever its timeout.

    Yields the timeouts of the calls.
    """
    timeouts: list[float] = []

    class Timer(threading.Timer):
        def run(self) -> None:
            timeouts.append(self.interval)
            while not happened() and not self.finished.wait(0.005):
                pass
            if not self.finished.is_set():
                self.function()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "Timer", Timer)
        yield timeouts
