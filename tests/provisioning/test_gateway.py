"""The gateway: rate limit, daily quota, pause, stop and resume, with any number of workers."""

from __future__ import annotations

import logging
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway
from provisioning.constant_contact import Answer, Meaning, Problem
from provisioning.gateway import AHEAD, LATE, SLACK, CallNotPermitted, Permit, RateLimited
from provisioning.models import Account, Attempt, Gateway, Worker
from provisioning.sandbox import Server
from tests.conftest import Say
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import provider, until
from tests.provisioning.work import account_in, at_once, database_url, now, pass_time, sign_up

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
PACE = SECOND / 4 * SLACK
"""The time between two calls at this file's rate, 4 per second."""
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def rate(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_RATE = 4.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the database's clock, as the gateway sees it."""

    def at(moment: datetime) -> None:
        monkeypatch.setattr(gateway, "_now", lambda: moment)

    return at


def set_row(**columns: Any) -> None:
    gateway.state()
    Gateway.objects.update(**columns)


def taken(times: int = 1) -> None:
    for _ in range(times):
        gateway.acquire_permit()


def closed_for() -> timedelta | None:
    """Return how long the gateway says it is paused; None means that it is stopped."""
    with pytest.raises(CallNotPermitted) as shut:
        gateway.acquire_permit()
    assert not isinstance(shut.value, RateLimited)
    return shut.value.retry_in


# The rate limit


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
    monkeypatch.setattr(gateway, "AHEAD", timedelta(hours=1))
    set_row(next_call_at=now() + timedelta(seconds=30))
    first = gateway.state().next_call_at

    at_once(8, lambda _: taken(5))

    assert gateway.state().next_call_at - first == 40 * PACE
    assert gateway.state().calls == 40


@pytest.mark.django_db(transaction=True)
def test_concurrent_first_callers_create_one_row() -> None:
    assert {row.pk for row in at_once(20, lambda _: gateway.state())} == {1}


# The daily quota


@pytest.fixture
def no_pace(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_RATE = 1e9


def test_after_the_quota_no_call_is_made_until_midnight_utc(
    settings: Settings, no_pace: None, clock: Callable[[datetime], None]
) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 3
    set_row(next_call_at=NOON)
    clock(NOON + SECOND)
    taken(3)

    assert closed_for() == timedelta(hours=12) - SECOND
    closure = gateway.current_pause()
    assert closure is not None
    assert (closure.until, "used up" in closure.reason) == (datetime(2030, 2, 1, tzinfo=UTC), True)

    clock(datetime(2030, 2, 1, tzinfo=UTC) - SECOND)
    assert closed_for() == SECOND
    clock(datetime(2030, 2, 1, tzinfo=UTC))
    assert gateway.current_pause() is None
    taken(3)
    assert closed_for() == timedelta(days=1)
    assert (gateway.state().calls, gateway.state().day) == (3, datetime(2030, 2, 1, tzinfo=UTC).date())


def test_a_call_counts_for_the_day_on_which_it_starts(settings: Settings, clock: Callable[[datetime], None]) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1
    midnight = datetime(2030, 2, 1, tzinfo=UTC)
    set_row(next_call_at=midnight, day=NOON.date(), calls=1)
    clock(midnight - AHEAD)

    taken()

    assert (gateway.state().day, gateway.state().calls) == (midnight.date(), 1)
    clock(midnight + SECOND)
    assert closed_for() == timedelta(days=1) - SECOND


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


# Pause, stop, resume

MEANINGS = {
    Meaning.OVER_RATE: SECOND,
    Meaning.OVER_QUOTA: timedelta(hours=12),
    Meaning.STOP: None,
}
"""Meanings that pause or stop the gateway → for how long, at noon. No others do."""


@pytest.mark.parametrize("meaning", Meaning)
def test_answers_that_concern_all_calls_close_the_gateway(meaning: Meaning, clock: Callable[[datetime], None]) -> None:
    clock(NOON)
    set_row(next_call_at=NOON)
    gateway.apply_answer(Answer(meaning=meaning, status=401))

    if meaning in MEANINGS:
        assert closed_for() == MEANINGS[meaning]
        assert gateway.state().calls == 0
    else:
        taken()


def test_a_pause_ends_automatically(clock: Callable[[datetime], None]) -> None:
    clock(NOON)
    set_row(next_call_at=NOON)
    gateway.apply_answer(Answer(meaning=Meaning.OVER_RATE))
    clock(NOON + SECOND - timedelta(microseconds=1))
    assert closed_for() == timedelta(microseconds=1)
    clock(NOON + SECOND)
    taken()


def test_the_longer_pause_counts(clock: Callable[[datetime], None]) -> None:
    clock(NOON)
    for meaning in (Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.OVER_RATE):
        gateway.apply_answer(Answer(meaning=meaning))
    assert closed_for() == timedelta(hours=12)


def test_a_pause_within_reach_of_the_next_permit_is_respected(clock: Callable[[datetime], None]) -> None:
    """A permit given out in advance may fall after the start of a pause."""
    clock(NOON)
    set_row(next_call_at=NOON + AHEAD, paused_until=NOON + AHEAD)
    taken()
    Gateway.objects.update(next_call_at=NOON, paused_until=NOON + AHEAD)
    assert closed_for() == AHEAD


def test_a_stop_lasts_until_staff_resume_and_keeps_its_first_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refusal = Answer(meaning=Meaning.STOP, status=401, problems=(Problem("auth", "Wrong"), Problem("more", "")))
    gateway.apply_answer(refusal)
    gateway.apply_answer(Answer(meaning=Meaning.STOP, status=405))
    pass_time(timedelta(days=100))

    assert closed_for() is None
    closure = gateway.current_pause()
    assert closure is not None
    assert closure.until is None
    assert closure.reason == (
        "Constant Contact answered 401: auth Wrong; more. "
        "Check CONSTANT_CONTACT_USERNAME and CONSTANT_CONTACT_PASSWORD."
    )
    assert gateway.state().stopped_at is not None

    gateway.resume()
    assert gateway.current_pause() is None
    assert gateway.state().stopped_at is None
    taken()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        f"gateway stopped reason={closure.reason!r}"
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


class TestOutage:
    """There is no clear answer, which may need a look-up in the list, or no connection."""

    @pytest.fixture(autouse=True)
    def accounts(self, no_pace: None) -> list[Account]:
        return [account_in("queued", username=f"anna-{n}") for n in range(3)]

    def answered(self, times: int, accounts: list[Account], outcome: str = "unknown") -> None:
        for number in range(times):
            account = accounts[number % len(accounts)]
            attempt = Attempt.objects.create(account=account, kind="create", username=account.username)
            attempt.complete(outcome=outcome)
            gateway.apply_answer(Answer(meaning=Meaning.UNSENT if outcome == "unsent" else Meaning.UNKNOWN))

    def pause(self) -> timedelta:
        paused = gateway.current_pause()
        assert paused
        assert paused.until
        return paused.until - now()

    def test_five_unclear_answers_pause_the_gateway(self, accounts: list[Account]) -> None:
        self.answered(4, accounts)
        assert gateway.current_pause() is None
        self.answered(1, accounts)
        assert timedelta(seconds=25) < self.pause() <= timedelta(seconds=30)

    def test_five_failed_connections_pause_it_too(self, accounts: list[Account]) -> None:
        self.answered(1, accounts, "unknown")
        self.answered(3, accounts, "unsent")
        assert gateway.current_pause() is None
        self.answered(1, accounts, "unsent")
        assert self.pause() > timedelta(seconds=25)

    def test_calls_that_we_canceled_do_not_count(self, accounts: list[Account]) -> None:
        self.answered(4, accounts)
        for account in accounts:
            Attempt.objects.create(account=account, kind="create", username="a").complete(outcome="not_done")
            gateway.apply_answer(Answer(meaning=Meaning.RETRY))
        assert gateway.current_pause() is None

    def test_unclear_answers_for_two_accounts_do_not_pause_it(self, accounts: list[Account]) -> None:
        self.answered(20, accounts[:2])
        assert gateway.current_pause() is None

    def test_answers_to_calls_in_flight_do_not_extend_the_pause(self, accounts: list[Account]) -> None:
        self.answered(16, accounts)
        assert self.pause() <= timedelta(seconds=30)

    def test_each_pause_is_twice_as_long_up_to_ten_minutes(self, accounts: list[Account]) -> None:
        self.answered(5, accounts)
        for seconds in (60, 120, 240, 480, 600, 600):
            pass_time(timedelta(minutes=11))
            taken()
            self.answered(1, accounts)
            assert self.pause() == pytest.approx(timedelta(seconds=seconds), abs=timedelta(seconds=5))

    def test_afterwards_one_call_at_a_time_probes(self, accounts: list[Account]) -> None:
        self.answered(5, accounts)
        pass_time(timedelta(minutes=1))
        taken()
        assert closed_for() == SECOND
        gateway.apply_answer(Answer(meaning=Meaning.RETRY))
        taken()

    def test_an_unanswered_probe_is_given_up_after_its_lease(self, accounts: list[Account]) -> None:
        self.answered(5, accounts)
        pass_time(timedelta(minutes=1))
        taken()
        pass_time(timedelta(seconds=61))
        taken()

    @pytest.mark.parametrize("meaning", [Meaning.CREATED, Meaning.REFUSED, Meaning.TAKEN])
    def test_a_clear_answer_ends_the_outage(self, meaning: Meaning, accounts: list[Account]) -> None:
        self.answered(5, accounts)
        pass_time(timedelta(minutes=1))
        taken()
        gateway.apply_answer(Answer(meaning=meaning))
        taken(10)

    def test_a_page_of_the_list_probes_but_does_not_end_the_outage(self, accounts: list[Account]) -> None:
        self.answered(5, accounts)
        pass_time(timedelta(minutes=1))
        gateway.acquire_permit(page=True)
        gateway.apply_answer(Answer(meaning=Meaning.LISTED))
        assert gateway.state().outages == 1
        taken()
        assert closed_for() == SECOND


class TestClock:
    """When a clock was set back, or another host's clock is behind, impossible times are discarded."""

    @pytest.mark.parametrize("column", ["next_call_at", "paused_until"])
    def test_impossible_times_are_discarded(self, column: str, caplog: pytest.LogCaptureFixture) -> None:
        set_row(**{column: now() + timedelta(days=30)})
        taken()
        assert f"clock went back {column}=" in caplog.text
        assert gateway.current_pause() is None

    def test_a_probe_from_the_future_is_discarded(self) -> None:
        set_row(outages=1, probe_until=now() + timedelta(days=30))
        taken()

    def test_a_pause_until_midnight_is_possible(self) -> None:
        set_row(paused_until=now() + timedelta(hours=23, minutes=59))
        assert closed_for() is not None

    def test_resuming_resets_both(self) -> None:
        set_row(next_call_at=now() + timedelta(days=30), paused_until=now() + timedelta(days=30), outages=3)
        gateway.resume()
        assert gateway.state().next_call_at <= now()
        assert (gateway.state().paused_until, gateway.state().outages) == (None, 0)


@pytest.mark.parametrize(("seconds", "pause"), [(None, 1), (0.1, 1), (20, 20)])
def test_the_wait_that_the_provider_asks_for_is_respected(seconds: float | None, pause: int) -> None:
    wait = timedelta(seconds=seconds) if seconds else None
    gateway.apply_answer(Answer(meaning=Meaning.OVER_RATE, status=429, retry_after=wait))
    assert closed_for() == pytest.approx(timedelta(seconds=pause), abs=timedelta(seconds=1))


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
    at_once(2, lambda _: closed_for())
    gateway.resume()
    at_once(1, lambda _: taken())


# Three worker processes


class Clocked(Server):
    """Records in `arrivals` when the kernel received each call, however busy this process was."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.arrivals: list[float] = []
        self.RequestHandlerClass: Any = type("Clocked", (_Clocked, self.RequestHandlerClass), {})


class _Clocked(BaseHTTPRequestHandler):
    server: Clocked

    def handle_one_request(self) -> None:
        for _, _, stamp in self.connection.recvmsg(1, 64, socket.MSG_PEEK)[1]:
            seconds, nanoseconds = struct.unpack("ll", stamp)
            self.server.arrivals.append(seconds + nanoseconds / 1e9)
        super().handle_one_request()


SO_TIMESTAMPNS = 35
"""Linux: the time of arrival with each message; see socket(7)."""


@contextmanager
def three_workers(rate: int) -> Iterator[Clocked]:
    """Worker processes on the tests' database, with a slow provider."""
    with Clocked(provider(latency=0.3)) as server:
        environment = os.environ | {
            "DATABASE_URL": database_url(),
            "CONSTANT_CONTACT_URL": server.url,
            "CONSTANT_CONTACT_RATE": str(rate),
        }
        command = [sys.executable, str(ROOT / "manage.py"), "provision", "--threads=8"]
        workers = [subprocess.Popen(command, env=environment) for _ in range(3)]
        try:
            until(lambda: Worker.objects.count() == 3)
            yield server
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(timeout=PATIENCE)


ROOT = Path(__file__).parent.parent.parent


def sign_ups(number: int) -> None:
    Account.objects.all().delete()
    with transaction.atomic():
        for each in range(number):
            sign_up(username=f"anna{each}")


@pytest.mark.pace
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rate", [4, 10])
def test_three_workers_together_use_the_rate_and_never_exceed_it(rate: int, say: Say) -> None:
    """A busy machine may miss permits, so only one of three runs must use the full rate; none may exceed it."""
    for _ in range(3):
        closest, used = measured(rate)
        say(f"{connection.vendor}, {rate} a second: {used:.1%} used, {rate + 1} calls take {closest:.3f} s or more")
        assert closest > 1
        if used >= 0.95:
            return
        if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
            pytest.skip("This machine is too busy with other things to use the rate, but the rate was kept.")
    pytest.fail("Less than 95 % of the rate was used.")


def measured(rate: int) -> tuple[float, float]:
    """Return the shortest time for one call more than the rate allows, and the share of the rate that was used."""
    with three_workers(rate) as server:
        sign_ups(8 * rate)
        until(lambda: len(server.arrivals) == 8 * rate)
    arrivals = sorted(server.arrivals)
    closest = min(later - sooner for sooner, later in zip(arrivals, arrivals[rate:], strict=False))
    steady = arrivals[2:]  # The first one found the gateway idle.
    return closest, (len(steady) - 1) / (steady[-1] - steady[0]) / rate


@pytest.mark.pace
@pytest.mark.django_db(transaction=True)
def test_three_workers_stop_together_and_resume_together() -> None:
    with three_workers(20) as server:
        sign_ups(50)
        until(lambda: len(server.arrivals) > 10)
        gateway.stop("for a test")
        stopped_at = time.time()
        until(lambda: time.time() > stopped_at + 1)
        late = [arrival for arrival in server.arrivals if arrival > stopped_at + AHEAD.total_seconds() + LATE]
        assert not late
        gateway.resume()
        resumed_at = time.time()
        until(lambda: server.arrivals[-1] > resumed_at)
        assert server.arrivals[-1] < resumed_at + 1
