"""Calls are spaced evenly for all workers together."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from provisioning import gateway
from provisioning.constant_contact import Answer, Meaning
from provisioning.gateway import Permit, RateLimited, permits
from provisioning.gateway.permits import AHEAD, LATE, SLACK
from provisioning.models import Gateway
from tests.provisioning.gateway.conftest import NOON, SECOND, set_row, taken
from tests.provisioning.work import at_once, now

pytestmark = pytest.mark.django_db

PACE = SECOND / 4 * SLACK
"""The time between two calls at this file's rate, 4 per second."""


def test_calls_are_spaced_evenly_with_some_slack(clock: Callable[[datetime], None]) -> None:
    set_row(next_call_at=NOON)
    for number in range(1, 10):
        clock(NOON - AHEAD + (number - 1) * PACE)
        taken()
        assert gateway.state().next_call_at == NOON + number * PACE


def test_a_permit_is_given_out_just_early_enough_to_write_the_evidence(
    clock: Callable[[datetime], None],
) -> None:
    set_row(next_call_at=NOON)
    clock(NOON - AHEAD - timedelta(milliseconds=30))

    with pytest.raises(RateLimited) as too_soon:
        gateway.acquire_permit()

    assert too_soon.value.retry_in == timedelta(milliseconds=30)
    assert gateway.state().next_call_at == NOON
    assert gateway.state().calls == 0


def test_a_pause_in_calls_is_not_followed_by_a_burst(clock: Callable[[datetime], None]) -> None:
    set_row(next_call_at=NOON - timedelta(hours=1))
    clock(NOON)
    taken()

    with pytest.raises(RateLimited):
        gateway.acquire_permit()


def test_a_call_may_start_at_once_while_the_gateway_is_idle(
    clock: Callable[[datetime], None],
) -> None:
    """The next one allows for the latest start."""
    set_row(next_call_at=NOON)
    clock(NOON)
    started = time.monotonic()
    permit = gateway.acquire_permit()

    assert permit.wait()
    assert time.monotonic() - started < PACE.total_seconds()
    assert permit._ends == 0
    assert gateway.state().next_call_at == NOON + 2 * PACE


@pytest.mark.parametrize("next_call_at", [NOON, NOON + AHEAD])
def test_all_other_calls_wait_for_one_that_may_start_late(
    clock: Callable[[datetime], None], next_call_at: datetime
) -> None:
    set_row(next_call_at=next_call_at)
    clock(NOON)
    usual = gateway.acquire_permit()
    then = gateway.state().next_call_at
    set_row(next_call_at=next_call_at)
    late = gateway.acquire_permit(lateness=SECOND)

    assert late._ends - usual._ends == pytest.approx(1, abs=0.1)
    assert gateway.state().next_call_at == then + SECOND


def test_a_call_waits_for_its_permit() -> None:
    opens = time.monotonic() + 0.05
    assert Permit(opens, opens + 10).wait()
    assert time.monotonic() >= opens


def test_an_expired_permit_is_not_used() -> None:
    """It would delay the calls after it."""
    assert not Permit(time.monotonic() - 0.2, time.monotonic() - 0.1).wait()


def test_a_permit_is_for_one_call() -> None:
    permit = Permit(time.monotonic(), time.monotonic() + 10)
    assert [permit.wait(), permit.wait()] == [True, False]


def test_a_permit_of_a_busy_gateway_expires_before_it_would_delay_the_next(
    clock: Callable[[datetime], None],
) -> None:
    set_row(next_call_at=NOON)
    clock(NOON - AHEAD)
    permit = gateway.acquire_permit()
    assert permit._ends - permit._opens < LATE + 1e-6
    assert 4 * PACE - timedelta(seconds=LATE) > SECOND


def test_permits_follow_the_databases_clock_not_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = now()
    for wrong in (timedelta(hours=-5), timedelta(hours=5)):
        monkeypatch.setattr(timezone, "now", lambda wrong=wrong: truth + wrong)
        monkeypatch.setattr(time, "time", lambda wrong=wrong: (truth + wrong).timestamp())
        gateway.apply_answer(Answer(meaning=Meaning.OVER_RATE))
        closure = gateway.current_pause()
        assert closure is not None
        assert closure.until is not None
        assert timedelta() < closure.until - truth < timedelta(minutes=1)
        gateway.resume()
        Gateway.objects.update(next_call_at=truth)
        taken()
        assert timedelta() < gateway.state().next_call_at - truth < timedelta(minutes=1)
        assert gateway.state().day == truth.date()


@pytest.mark.django_db(transaction=True)
def test_no_two_workers_get_the_same_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "AHEAD", timedelta(hours=1))
    set_row(next_call_at=now() + timedelta(seconds=30))
    first = gateway.state().next_call_at

    at_once(8, lambda _: taken(5))

    assert gateway.state().next_call_at - first == 40 * PACE
    assert gateway.state().calls == 40


@pytest.mark.django_db(transaction=True)
def test_concurrent_first_callers_create_one_row() -> None:
    assert {row.pk for row in at_once(20, lambda _: gateway.state())} == {1}
