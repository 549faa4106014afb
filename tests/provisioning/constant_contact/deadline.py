"""The deadline of a call, moved by what happens instead of by a clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def deadline_once(happened: Callable[[], object]) -> Iterator[list[float]]:
    """Within it the time for a call is over as soon as something has happened, whatever its timeout.

    Gives the timeouts of the calls that were made.
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
