"""Failures of the provider pause the gateway, and one call at a time probes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from provisioning import gateway
from provisioning.constant_contact import Answer, Meaning
from provisioning.models import Account, Attempt
from tests.provisioning.gateway.conftest import SECOND, paused_for, set_row, taken
from tests.provisioning.work import account_in, now, pass_time

pytestmark = pytest.mark.django_db


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
        assert paused_for() == SECOND
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
        assert paused_for() == SECOND


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
        assert paused_for() is not None

    def test_resuming_resets_both(self) -> None:
        set_row(next_call_at=now() + timedelta(days=30), paused_until=now() + timedelta(days=30), outages=3)
        gateway.resume()
        assert gateway.state().next_call_at <= now()
        assert (gateway.state().paused_until, gateway.state().outages) == (None, 0)
