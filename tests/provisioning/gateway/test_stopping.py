"""Answers that concern all calls pause or stop the gateway."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from provisioning import gateway
from provisioning.constant_contact import Answer, Meaning, Problem
from provisioning.gateway.permits import AHEAD
from provisioning.models import Account, Attempt, Gateway
from tests.provisioning.gateway.conftest import NOON, SECOND, paused_for, set_row, taken
from tests.provisioning.work import account_in, at_once, now, pass_time

pytestmark = pytest.mark.django_db

MEANINGS = {
    Meaning.OVER_RATE: SECOND,
    Meaning.OVER_QUOTA: timedelta(hours=12),
    Meaning.STOP: None,
}
"""Meanings that pause or stop the gateway → for how long, at noon. No others do."""


@pytest.mark.parametrize("meaning", Meaning)
def test_an_answer_that_concerns_all_calls_pauses_or_stops_the_gateway(
    meaning: Meaning, clock: Callable[[datetime], None]
) -> None:
    clock(NOON)
    set_row(next_call_at=NOON)
    gateway.apply_answer(Answer(meaning=meaning, status=401))

    if meaning in MEANINGS:
        assert paused_for() == MEANINGS[meaning]
        assert gateway.state().calls == 0
    else:
        taken()


def test_a_pause_ends_automatically(clock: Callable[[datetime], None]) -> None:
    clock(NOON)
    set_row(next_call_at=NOON)
    gateway.apply_answer(Answer(meaning=Meaning.OVER_RATE))
    clock(NOON + SECOND - timedelta(microseconds=1))
    assert paused_for() == timedelta(microseconds=1)
    clock(NOON + SECOND)
    taken()


def test_the_longer_pause_counts(clock: Callable[[datetime], None]) -> None:
    clock(NOON)
    for meaning in (Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.OVER_RATE):
        gateway.apply_answer(Answer(meaning=meaning))
    assert paused_for() == timedelta(hours=12)


def test_a_pause_within_reach_of_the_next_permit_is_respected(clock: Callable[[datetime], None]) -> None:
    """A permit given out in advance may fall after the start of a pause."""
    clock(NOON)
    set_row(next_call_at=NOON + AHEAD, paused_until=NOON + AHEAD)
    taken()
    Gateway.objects.update(next_call_at=NOON, paused_until=NOON + AHEAD)
    assert paused_for() == AHEAD


def test_a_stop_lasts_until_staff_resume_and_keeps_its_first_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refusal = Answer(meaning=Meaning.STOP, status=401, problems=(Problem("auth", "Wrong"), Problem("more", "")))
    gateway.apply_answer(refusal)
    gateway.apply_answer(Answer(meaning=Meaning.STOP, status=405))
    pass_time(timedelta(days=100))

    assert paused_for() is None
    pause = gateway.current_pause()
    assert pause is not None
    assert pause.until is None
    assert pause.reason == (
        "Constant Contact answered 401: auth Wrong; more. "
        "Check CONSTANT_CONTACT_USERNAME and CONSTANT_CONTACT_PASSWORD."
    )
    assert gateway.state().stopped_at is not None

    gateway.resume()
    assert gateway.current_pause() is None
    assert gateway.state().stopped_at is None
    taken()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        f"gateway stopped reason={pause.reason!r}"
    ]
    assert "gateway resumed" in caplog.messages


def test_a_stop_without_a_reason_says_so() -> None:
    gateway.apply_answer(Answer(meaning=Meaning.STOP, status=406))
    assert gateway.state().stop_reason == "Constant Contact answered 406: no reason given."


class TestUnusableAnswers:
    """404, a redirect, …: nothing was created, and something between here and the provider is misconfigured."""

    def answered(self, status: int, *accounts: Account, body: str = "") -> None:
        for account in accounts:
            attempt = Attempt.objects.create(account=account, kind="create", username=account.username)
            attempt.complete(outcome="unusable", status=status)
            gateway.apply_answer(Answer(meaning=Meaning.NOTHING_CREATED, status=status, body=body))

    def test_three_accounts_in_a_row_stop_the_gateway_with_the_likely_cause(self) -> None:
        first, second, third = (account_in("queued", username=f"anna-{n}") for n in range(3))
        self.answered(404, first, second)
        assert gateway.current_pause() is None
        self.answered(404, third, body="<html><h1>Not Found</h1> The page is gone.</html>")
        assert gateway.state().stop_reason == (
            "Constant Contact answered 404: Not Found The page is gone. "
            "The API is not at this address: check CONSTANT_CONTACT_URL."
        )

    def test_one_account_alone_stops_nothing(self) -> None:
        account = account_in("queued")
        self.answered(404, *[account] * 20)
        assert gateway.current_pause() is None

    def test_a_usable_answer_in_between_starts_the_count_again(self) -> None:
        first, second, third = (account_in("queued", username=f"anna-{n}") for n in range(3))
        self.answered(404, first, second)
        Attempt.objects.create(account=first, kind="create", username="a").complete(outcome="refused", status=400)
        self.answered(404, third)
        assert gateway.current_pause() is None

    @pytest.mark.parametrize(
        ("status", "cause"), [(301, "redirects elsewhere"), (403, "API_KEY"), (410, "410: no reason")]
    )
    def test_the_status_suggests_the_cause(self, status: int, cause: str) -> None:
        self.answered(status, *(account_in("queued", username=f"anna-{n}") for n in range(3)))
        assert cause in gateway.state().stop_reason


@pytest.mark.parametrize(("seconds", "pause"), [(None, 1), (0.1, 1), (20, 20)])
def test_the_wait_that_the_provider_asks_for_is_respected(seconds: float | None, pause: int) -> None:
    wait = timedelta(seconds=seconds) if seconds else None
    gateway.apply_answer(Answer(meaning=Meaning.OVER_RATE, status=429, retry_after=wait))
    assert paused_for() == pytest.approx(timedelta(seconds=pause), abs=timedelta(seconds=1))


def test_the_quota_reset_that_the_provider_announces_is_used() -> None:
    gateway.apply_answer(Answer(meaning=Meaning.OVER_QUOTA, status=429, retry_after=timedelta(hours=24)))
    paused = gateway.current_pause()
    assert paused
    assert paused.until
    assert paused.until - now() > timedelta(hours=23)


def test_resuming_ends_a_pause_too(clock: Callable[[datetime], None]) -> None:
    clock(NOON)
    set_row(next_call_at=NOON)
    gateway.apply_answer(Answer(meaning=Meaning.OVER_QUOTA))
    gateway.resume()
    taken()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("meaning", MEANINGS)
def test_other_workers_see_a_pause_at_once(meaning: Meaning, no_pace: None) -> None:
    set_row(next_call_at=now())
    at_once(1, lambda _: taken())
    gateway.apply_answer(Answer(meaning=meaning, status=401))
    at_once(2, lambda _: paused_for())
    gateway.resume()
    at_once(1, lambda _: taken())
