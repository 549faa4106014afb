"""A protected page, a clock that the test moves, and forms filled in at a human pace."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from signup import abuse, visits
from signup.form_guard import MINIMUM_SECONDS
from signup.models import Visit
from tests.signup.accounts import TYPED, hidden

Clock = Callable[[float], None]
FORM = "/"
numbers = count()


@pytest.fixture(autouse=True)
def protected(settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True


@pytest.fixture(autouse=True)
def wait(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a function that advances the web server's clock by seconds."""
    now = [1_000_000.0]
    monkeypatch.setattr("signup.form_guard.time.time", lambda: now[0])

    def seconds(number: float) -> None:
        now[0] += number

    return seconds


def opened(client: Client, **typed: str) -> dict[str, str]:
    """Return a form that was just opened, filled in with a unique username."""
    return TYPED | {"username": f"anna-{next(numbers)}", "comment": ""} | hidden(client.get(FORM)) | typed


@pytest.fixture
def send(client: Client, wait: Clock) -> Callable[..., Any]:
    """Return a function that opens a form, fills it in at a human pace, and sends it."""

    def fill_in_and_send(address: str = "203.0.113.7", **typed: str) -> Any:
        form = opened(client, **typed)
        wait(MINIMUM_SECONDS)
        return client.post(FORM, form, REMOTE_ADDR=address)

    return fill_in_and_send


def used_up(limit: str, source: str, times: int, ago: timedelta = timedelta()) -> None:
    """Record this many forms from this source."""
    for _ in range(times):
        visits.add(uuid.uuid4(), [abuse.key(limit, source)])
    Visit.objects.filter(at__gt=timezone.now() - timedelta(minutes=1)).update(at=timezone.now() - ago)


def here(email: str, area: str = "203.0.113.0/24") -> str:
    """Return the source of sign-ups for one mailbox from one area."""
    return f"{email} {area}"


SOURCES = [("network", "203.0.113.7"), ("networks", "203.0.113.0/24"), ("email", here(TYPED["email"]))]
