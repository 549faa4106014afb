"""Fixtures for the tests of events: this machine is opted in, and endpoints are read each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from tests.provisioning.events.receiver import Receiver


@pytest.fixture(autouse=True)
def this_machine_is_opted_in(settings: Settings) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture(autouse=True)
def nothing_cached() -> Iterator[None]:
    """Forget what endpoints want, before the test and after it."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
