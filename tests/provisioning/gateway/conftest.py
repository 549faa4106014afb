"""A gateway with one call a second, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from provisioning import gateway
from provisioning.gateway import CallNotPermitted, RateLimited, row
from provisioning.models import Gateway

SECOND = timedelta(seconds=1)
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def rate(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_RATE = 4.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the database's clock, as the gateway sees it."""

    def at(moment: datetime) -> None:
        monkeypatch.setattr(row, "clock", lambda: moment)

    return at


def set_row(**columns: Any) -> None:
    gateway.state()
    Gateway.objects.update(**columns)


def taken(times: int = 1) -> None:
    for _ in range(times):
        gateway.acquire_permit()


def paused_for() -> timedelta | None:
    """Return how long the gateway says it is paused; None means that it is stopped."""
    with pytest.raises(CallNotPermitted) as refusal:
        gateway.acquire_permit()
    assert not isinstance(refusal.value, RateLimited)
    return refusal.value.retry_in


@pytest.fixture
def no_pace(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_RATE = 1e9
