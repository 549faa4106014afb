"""Fixtures for the tests of notices: a mail server, and a rule for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import F
from pytest_django import Settings

from provisioning.models import Incident, Notice, NoticeRule
from provisioning.notices import incidents, sending

Look = Callable[[], None]
MakeRule = Callable[..., NoticeRule]


@pytest.fixture(autouse=True)
def mail_server(settings: Settings) -> Iterator[None]:
    settings.EMAIL_URL = {"EMAIL_BACKEND": settings.EMAIL_BACKEND}
    settings.ALLOWED_HOSTS = ["signup.example.com", "testserver"]
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def rule(db: None) -> MakeRule:
    """Return a function that makes a rule: everything, at once, by email to Dora."""

    def make(**values: Any) -> NoticeRule:
        dora, _new = User.objects.get_or_create(username="dora", email="dora@example.com", is_staff=True)
        usual = {"name": "Support", "incidents": list(Incident.Kind), "user": dora}
        return NoticeRule.objects.create(**usual | values)

    return make


@pytest.fixture
def look(db: None) -> Look:
    """Return a function that does what a worker's chores do about notices."""

    def chores() -> None:
        cache.clear()
        incidents.watch()
        sending.send_due()

    return chores


def pass_time(time: timedelta) -> None:
    """Let time pass by moving the times of incidents and notices into the past."""
    Incident.objects.update(begun_at=F("begun_at") - time, absent_since=F("absent_since") - time)
    Incident.objects.filter(ended_at__isnull=False).update(ended_at=F("ended_at") - time)
    Notice.objects.update(due_at=F("due_at") - time)
