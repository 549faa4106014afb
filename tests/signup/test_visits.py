"""Visits are counted by key and time, up to a limit."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from signup import visits
from signup.models import Visit
from signup.visits import Tally

pytestmark = pytest.mark.django_db


def came(key: str, ago: timedelta = timedelta()) -> uuid.UUID:
    call = uuid.uuid4()
    visits.add(call, [key, "another key"])
    Visit.objects.filter(submission=call).update(at=timezone.now() - ago)
    return call


def test_visits_of_the_last_hours_count_and_others_do_not() -> None:
    for minutes in (0, 59, 61, 24 * 60 - 1, 24 * 60 + 1):
        came("key", timedelta(minutes=minutes))

    assert visits.count({"hour": Tally("key"), "day": Tally("key", 24), "none": Tally("unknown")}) == {
        "hour": 2,
        "day": 4,
        "none": 0,
    }


def test_counting_ends_where_it_no_longer_matters() -> None:
    for _ in range(4):
        came("key")

    assert visits.count({"all": Tally("key"), "some": Tally("key", most=3)}) == {"all": 4, "some": 3}


def test_a_call_can_be_left_out_or_looked_for() -> None:
    call, _another = came("key"), came("key")

    asked = {"all": Tally("key"), "others": Tally("key", but=call), "this": Tally("key", only=call)}
    assert visits.count(asked) == {"all": 2, "others": 1, "this": 1}
