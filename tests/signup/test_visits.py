"""Visits are counted by key and time."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from signup import abuse, visits
from signup.models import Visit
from signup.visits import Earlier

pytestmark = pytest.mark.django_db
KEY, OTHER, UNKNOWN = (abuse.key("network", name) for name in ("198.51.100.7", "198.51.100.8", "unknown"))


def came(key: str, ago: timedelta = timedelta()) -> uuid.UUID:
    call = uuid.uuid4()
    visits.add(call, [key, OTHER])
    Visit.objects.filter(submission=call).update(at=timezone.now() - ago)
    return call


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_only_visits_of_the_last_hour_count() -> None:
    for minutes in (0, 59, 61):
        came(KEY, timedelta(minutes=minutes))

    assert visits.count_last_hour([KEY, OTHER, UNKNOWN]) == {
        KEY: 2,
        OTHER: 2,
        UNKNOWN: 0,
    }


def test_the_last_hours_visits_are_counted_once_a_second(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    came(KEY)
    assert visits.count_last_hour([KEY]) == {KEY: 1}
    came(KEY)

    with django_assert_num_queries(0):
        assert visits.count_last_hour([KEY]) == {KEY: 1}


def test_earlier_calls_are_those_of_the_last_day_and_of_the_last_hour() -> None:
    for minutes in (0, 59, 61, 24 * 60 - 1, 24 * 60 + 1):
        came(KEY, timedelta(minutes=minutes))

    assert visits.count_earlier(uuid.uuid4(), [KEY, UNKNOWN]) == {KEY: Earlier(day=4, hour=2), UNKNOWN: Earlier()}


def test_a_recounted_call_is_not_an_earlier_one() -> None:
    call, _another = came(KEY), came(KEY)

    assert visits.count_earlier(call, [KEY]) == {KEY: Earlier(day=1, hour=1, is_counted=True)}


def test_visits_older_than_a_day_are_deleted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "BATCH_SIZE", 4)
    for hours in (26, 26, 25, 23, 0):
        came(KEY, timedelta(hours=hours))

    left = []
    for _chore in range(3):
        visits.delete_old()
        left.append(Visit.objects.filter(key=KEY).count())

    assert left == [3, 2, 2]
