"""Waits grow exponentially, up to a limit."""

from datetime import timedelta

import pytest

from provisioning.backoff import exponential

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def test_each_wait_is_twice_as_long_as_the_one_before() -> None:
    assert [exponential(SECOND, HOUR, number) for number in range(4)] == [SECOND * each for each in (1, 2, 4, 8)]


def test_another_factor_can_be_given() -> None:
    assert exponential(SECOND, HOUR, 3, factor=3) == 27 * SECOND


@pytest.mark.parametrize("number", [12, 1000, 10**9])
def test_no_wait_is_longer_than_the_limit(number: int) -> None:
    assert exponential(SECOND, HOUR, number) == HOUR


def test_without_a_first_wait_there_is_none() -> None:
    assert exponential(timedelta(), HOUR, 1000) == timedelta()
