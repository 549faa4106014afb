"""How long customers in line are told that it takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.models import Account, Attempt
from tests.provisioning.gateway.conftest import NOON, set_row
from tests.provisioning.work import account_in

pytestmark = [pytest.mark.django_db, pytest.mark.once]

_numbers = itertools.count()
HALF_A_DAY, DAY = timedelta(hours=12), timedelta(days=1)


def queued_at_noon() -> Account:
    return account_in("queued", due_at=NOON, username=f"anna-{next(_numbers)}")


@pytest.fixture(autouse=True)
def at_noon(settings: Settings, clock: Callable[[datetime], None]) -> None:
    """It is noon, half of a quota of 100 calls is used, and four calls a second are allowed."""
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 100
    set_row(day=NOON.date(), calls=50)
    clock(NOON)


@pytest.mark.parametrize(
    ("calls", "begins"),
    [
        (1, timedelta()),
        (50, timedelta(seconds=12)),
        (51, HALF_A_DAY),
        (150, HALF_A_DAY + timedelta(seconds=24)),
        (151, HALF_A_DAY + DAY),
        (251, HALF_A_DAY + 2 * DAY),
    ],
)
def test_calls_wait_for_those_before_them_and_for_the_quota(calls: int, begins: timedelta) -> None:
    wait = gateway.expected_wait(calls)

    assert wait is not None
    assert begins < wait < begins + timedelta(seconds=2)


def test_a_pause_comes_first() -> None:
    set_row(paused_until=NOON + timedelta(minutes=5))

    assert gateway.expected_wait(1) == timedelta(minutes=5, seconds=0.252)


def test_after_midnight_yesterdays_calls_do_not_count(clock: Callable[[datetime], None]) -> None:
    clock(NOON + DAY)

    assert gateway.expected_wait(100) == timedelta(seconds=25.2)


@pytest.mark.parametrize("why", [{"stop_reason": "401"}, {"outages": 1}])
def test_nobody_can_say_how_long_a_stop_or_an_outage_lasts(why: dict[str, object]) -> None:
    set_row(**why)

    assert gateway.expected_wait(1) is None


def test_the_reserve_is_for_new_sign_ups() -> None:
    set_row(calls=80)
    new, corrected = queued_at_noon(), queued_at_noon()
    Attempt.objects.create(account=corrected, kind="create", username=corrected.username, outcome="refused")

    assert services.expected_wait(new) == timedelta(seconds=0.252)
    assert services.expected_wait(corrected) == HALF_A_DAY + timedelta(seconds=0.504)


def test_a_quota_of_one_call_is_one_call_a_day_even_with_a_reserve(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1

    assert gateway.expected_wait(2, share=0.8) == HALF_A_DAY + DAY + timedelta(seconds=0.252)


def test_only_queued_accounts_that_are_due_earlier_are_ahead() -> None:
    first, mine, _behind, under_way = (queued_at_noon() for _ in range(4))
    Account.objects.filter(pk=under_way.pk).update(state="sending", due_at=NOON - DAY)

    waits = [services.expected_wait(each) for each in (first, mine)]

    assert waits == [timedelta(seconds=0.252), timedelta(seconds=0.504)]
