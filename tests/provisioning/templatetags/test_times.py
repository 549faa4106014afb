"""Times name the partner's time zone and how long ago they were, and durations are readable."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Attempt
from provisioning.templatetags.times import ago, duration, exact, until
from tests.provisioning.admin.conftest import Make, State, admin_client, attempt, make, page_of, quick_pages

__all__ = ["admin_client", "make", "quick_pages"]

pytestmark = pytest.mark.once

NOON = datetime(2026, 7, 14, 12, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC", "July 14, 2026, 12:30 p.m. UTC"),
        ("America/New_York", "July 14, 2026, 8:30 a.m. EDT"),
        ("Asia/Kolkata", "July 14, 2026, 6 p.m. IST"),
    ],
)
def test_a_time_names_its_time_zone(settings: Settings, zone: str, said: str) -> None:
    settings.TIME_ZONE = zone
    assert exact(NOON) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.8, "0.8 s"),
        (9.4, "9.4 s"),
        (42, "42 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7201.7, "2 h"),
        (86400, "24 h"),
        (3 * 86400, "3 d"),
    ],
)
def test_a_duration_has_a_suitable_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == duration(timedelta(seconds=seconds)) == said


def test_future_and_past_times_are_shown_relative_to_now() -> None:
    assert ago(timezone.now() - 7201 * SECOND) == "2\xa0hours ago"
    assert ago(timezone.now() - 59 * SECOND) == "just now"
    assert until(timezone.now() + 7230 * SECOND).startswith("in 2\xa0hours (")
    assert until(timezone.now() - SECOND) == "any moment now"


@pytest.mark.django_db
def test_every_time_on_an_accounts_page_names_its_time_zone(
    admin_client: Client, make: Make, settings: Settings
) -> None:
    settings.TIME_ZONE = "America/New_York"
    account = make(State.REJECTED, submitted_at=NOON)
    made = attempt(account, Attempt.Outcome.REFUSED)
    Attempt.objects.filter(pk=made.pk).update(duration=7201.7 * SECOND)
    lists = [reverse(f"admin:provisioning_{name}_changelist") for name in ("account", "auditentry")]
    for path in (page_of(account), *lists):
        page = admin_client.get(path).content.decode()
        times = re.findall(r"\d\d?, 20\d\d, [\d:]+ [ap]\.m\..{0,4}", page)
        assert bool(times) == ("auditentry" not in path)
        assert [time for time in times if not re.search(" E[SD]T$", time)] == []
    page = admin_client.get(page_of(account)).content.decode()
    assert "July 14, 2026, 8:30:00 a.m. EDT" in page
    assert "2 h" in page
