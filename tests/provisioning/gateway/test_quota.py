"""The daily quota is exact."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from pytest_django import Settings

from provisioning import gateway
from provisioning.gateway import CallNotPermitted, RateLimited
from provisioning.gateway.permits import AHEAD
from tests.provisioning.gateway.conftest import NOON, SECOND, paused_for, set_row, taken
from tests.provisioning.work import at_once, now

pytestmark = pytest.mark.django_db


def test_after_the_quota_no_call_is_made_until_midnight_utc(
    settings: Settings, no_pace: None, clock: Callable[[datetime], None]
) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 3
    set_row(next_call_at=NOON)
    clock(NOON + SECOND)
    taken(3)

    assert paused_for() == timedelta(hours=12) - SECOND
    closure = gateway.current_pause()
    assert closure is not None
    assert (closure.until, "used up" in closure.reason) == (datetime(2030, 2, 1, tzinfo=UTC), True)

    clock(datetime(2030, 2, 1, tzinfo=UTC) - SECOND)
    assert paused_for() == SECOND
    clock(datetime(2030, 2, 1, tzinfo=UTC))
    assert gateway.current_pause() is None
    taken(3)
    assert paused_for() == timedelta(days=1)
    assert (gateway.state().calls, gateway.state().day) == (3, datetime(2030, 2, 1, tzinfo=UTC).date())


def test_a_call_counts_for_the_day_on_which_it_starts(settings: Settings, clock: Callable[[datetime], None]) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1
    midnight = datetime(2030, 2, 1, tzinfo=UTC)
    set_row(next_call_at=midnight, day=NOON.date(), calls=1)
    clock(midnight - AHEAD)

    taken()

    assert (gateway.state().day, gateway.state().calls) == (midnight.date(), 1)
    clock(midnight + SECOND)
    assert paused_for() == timedelta(days=1) - SECOND


@pytest.mark.django_db(transaction=True)
def test_the_quota_is_exact_with_many_workers(settings: Settings, no_pace: None) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 30
    set_row(next_call_at=now())

    def take_all(_: int) -> int:
        for count in range(100):
            try:
                gateway.acquire_permit()
            except RateLimited:
                raise
            except CallNotPermitted:
                return count
        raise AssertionError

    assert sum(at_once(8, take_all)) == 30
    assert gateway.state().calls == 30


def test_a_permit_is_not_counted_if_its_claim_fails() -> None:
    set_row(calls=0)
    with transaction.atomic():
        taken()
        transaction.set_rollback(True)
    assert gateway.state().calls == 0
