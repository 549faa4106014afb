"""The sandbox's clock."""

import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest

from provisioning.sandbox import accounts

Advance = Callable[[timedelta], None]


@pytest.fixture
def advance_sandbox(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Return a function that moves the sandbox's clock ahead: accounts exist, and are listed, only later."""

    def advance(by: timedelta) -> None:
        monkeypatch.setattr(accounts, "time", SimpleNamespace(time=lambda: time.time() + by.total_seconds()))

    return advance
