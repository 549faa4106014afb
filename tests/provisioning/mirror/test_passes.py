"""Passes over the partner's list: one at a time, page by page, by any worker, and never endless."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import Answer, Meaning, Problem, v2, v3
from provisioning.management.commands.provision import next_job
from provisioning.mirror import matching, passes
from provisioning.mirror.passes import MOST_FAILURES, MOST_PAGES, PassLost
from provisioning.models import Account, Gateway, ListEntry, ListPass
from provisioning.sandbox import Server
from provisioning.services import claims, workers
from provisioning.services.settlement import settle_page
from tests.provisioning.mirror.conftest import entry, read, unanswered
from tests.provisioning.sandbox.partner import BOTH, partner_of
from tests.provisioning.work import State, account_in, again, at_once, now, pass_time, sign_up, work

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COMPLETE, FAILED = ListPass.Outcome.COMPLETE, ListPass.Outcome.FAILED


@pytest.fixture
def routine(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_LIST_HOURS = 24.0


def claimed() -> ListPass:
    pass_time()
    claim = services.claim_page()
    assert claim
    return claim.list_pass


def ended(**columns: Any) -> ListPass:
    columns = {"outcome": COMPLETE, "source": passes.source(), "ended_at": Now(), "due_at": None} | columns
    return ListPass.objects.create(**columns)


class TestWhenAPassIsDue:
    @pytest.mark.usefixtures("routine")
    def test_a_new_installation_starts_with_a_pass(self) -> None:
        """It shows which accounts were listed before any of our calls, so they are someone else's."""
        assert passes.is_page_due()

    def test_with_scheduled_passes_off_none_is_due_while_no_account_waits(self) -> None:
        assert not passes.is_page_due()

    @pytest.mark.usefixtures("routine")
    @pytest.mark.parametrize(("hours", "due"), [(23, False), (25, True)])
    def test_a_scheduled_pass_is_due_daily(self, hours: int, due: bool) -> None:
        ended(started_at=Now() - timedelta(hours=hours), ended_at=Now() - timedelta(hours=hours))
        assert passes.is_page_due() == due

    @pytest.mark.parametrize(("minutes", "due"), [(-1, True), (1, False)])
    def test_an_account_past_its_grace_period_needs_a_pass(self, minutes: int, due: bool) -> None:
        unanswered(due_at=Now() + timedelta(minutes=minutes))
        assert passes.is_page_due() == due

    def test_an_account_waiting_for_staff_needs_no_pass(self) -> None:
        unanswered(due_at=None)
        assert not passes.is_page_due()

    def test_the_next_pass_waits_as_long_as_the_last_one_took(self) -> None:
        ended(started_at=Now() - timedelta(minutes=15), ended_at=Now() - timedelta(minutes=5))
        unanswered()
        assert not passes.is_page_due()
        pass_time(timedelta(minutes=6))
        assert passes.is_page_due()

    def test_a_pass_delayed_for_days_delays_the_next_one_by_an_hour(self) -> None:
        ended(started_at=Now() - 7 * DAY, ended_at=Now() - timedelta(minutes=59))
        unanswered()
        assert not passes.is_page_due()
        pass_time(timedelta(minutes=2))
        assert passes.is_page_due()

    def test_failed_passes_back_off(self, settings: Settings) -> None:
        settings.PROVISION_RECHECK = 30.0
        unanswered()
        for failures in range(1, 4):
            ended(outcome=FAILED)
            assert not passes.is_page_due()
            pass_time(timedelta(seconds=30 * 2**failures - 1))
            assert not passes.is_page_due()
            pass_time(timedelta(seconds=2))
            assert passes.is_page_due()

    def test_v3_needs_a_pass_to_learn_what_names_its_list_shows(self, v3: None) -> None:
        ended(started_at=Now() - HOUR, ended_at=Now() - HOUR)
        assert not passes.is_page_due()
        account_in(State.CREATED, settled_by="answer", created_at=Now())
        assert passes.is_page_due()
        Gateway.objects.update(list_names=Gateway.ListNames.USERNAME)
        assert not passes.is_page_due()

    def test_calibration_is_not_tried_all_the_time(self, v3: None) -> None:
        ended(started_at=Now() - timedelta(minutes=5), ended_at=Now() - timedelta(minutes=5))
        account_in(State.CREATED, settled_by="answer", created_at=Now())
        assert not passes.is_page_due()


class TestClock:
    """The clock was set back, or another database server with a slower clock took over."""

    def test_a_page_that_is_held_until_next_year_is_read(self) -> None:
        unanswered()
        claimed()
        ListPass.objects.update(due_at=Now() + timedelta(days=300))
        services.expire()
        assert claimed()

    def test_a_pass_that_ends_in_the_future_rests_nobody_and_proves_nothing(self) -> None:
        ended(started_at=Now() + timedelta(days=300), ended_at=Now() + timedelta(days=300))
        account = unanswered()
        services.expire()
        services.settle_complete_pass()
        assert again(account).state == State.UNCONFIRMED
        pass_time(HOUR)
        assert passes.is_page_due()


class TestBudget:
    @pytest.mark.parametrize(("pages", "due"), [(499, True), (500, False)])
    def test_pages_for_waiting_accounts_use_at_most_half_of_the_quota(
        self, pages: int, due: bool, settings: Settings
    ) -> None:
        settings.CONSTANT_CONTACT_DAILY_QUOTA = 1000
        today = now().date()
        Gateway.objects.update(day=today, calls=pages, pages=pages)
        unanswered()
        assert passes.is_page_due() == due

    @pytest.mark.usefixtures("routine")
    @pytest.mark.parametrize(("pages", "due"), [(199, True), (200, False)])
    def test_scheduled_passes_use_at_most_a_fifth_of_the_quota(self, pages: int, due: bool, settings: Settings) -> None:
        settings.CONSTANT_CONTACT_DAILY_QUOTA = 1000
        today = now().date()
        Gateway.objects.update(day=today, calls=pages, pages=pages)
        assert passes.is_page_due() == due

    @pytest.mark.usefixtures("routine")
    def test_a_pass_out_of_quota_continues_the_next_day(self, settings: Settings) -> None:
        settings.CONSTANT_CONTACT_DAILY_QUOTA = 5
        read(entry("1"), next_page="2", held=claimed())
        assert services.claim_page() is None
        Gateway.objects.update(day=now().date() - DAY)
        assert claimed().page == "2"


class TestOneAtATime:
    def test_a_page_is_claimed_for_one_lease(self) -> None:
        unanswered()
        first = claimed()
        assert services.claim_page() is None
        pass_time(timedelta(seconds=61))
        second = claimed()
        assert (second.pk, second.page) == (first.pk, first.page)
        assert second.claim != first.claim

    def test_a_worker_that_lost_its_page_changes_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        account = unanswered()
        late = claimed()
        pass_time(timedelta(seconds=61))
        claimed()
        read(entry(), held=late)

        assert not ListEntry.objects.exists()
        assert again(account).state == State.UNCONFIRMED
        assert f"late page pass={late.pk}" in caplog.messages

    def test_a_renewed_lease_starts_again(self) -> None:
        unanswered()
        held = claimed()
        pass_time(timedelta(seconds=50))
        passes.renew(held)
        pass_time(timedelta(seconds=50))
        assert services.claim_page() is None

    def test_a_lost_lease_is_not_renewed(self) -> None:
        unanswered()
        late = claimed()
        pass_time(timedelta(seconds=61))
        claimed()
        with pytest.raises(PassLost):
            passes.renew(late)

    def test_a_pass_continues_where_another_worker_left_it(self) -> None:
        unanswered()
        read(entry("1", "other"), next_page="2", held=claimed())
        assert claimed().page == "2"

    def test_a_database_that_fails_after_a_page_was_stored_costs_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        account = unanswered()
        held = claimed()
        find = matching.find
        monkeypatch.setattr(matching, "find", Mock(side_effect=OperationalError))
        answer = Answer(meaning=Meaning.LISTED, entries=(entry(),), next_page="2")
        with pytest.raises(OperationalError):
            settle_page(held, answer)
        monkeypatch.setattr(matching, "find", find)
        settle_page(held, answer)

        assert again(account).account_id == "7"
        now_held = ListPass.objects.get()
        assert (now_held.page, now_held.pages, now_held.outcome) == ("2", 1, "")

    def test_a_database_that_fails_after_a_failure_was_counted_counts_it_once(self) -> None:
        unanswered()
        held = claimed()
        for _ in range(2):
            settle_page(held, Answer(meaning=Meaning.UNKNOWN, status=500))
        assert ListPass.objects.get().failures == 1

    @pytest.mark.django_db(transaction=True)
    def test_one_of_several_concurrent_workers_reads_the_page(self) -> None:
        unanswered()
        claims = at_once(6, lambda _: services.claim_page())
        assert sum(claim is not None for claim in claims) == 1
        assert gateway.state().calls == 1

    def test_another_partners_list_is_read_from_its_beginning(self, settings: Settings) -> None:
        unanswered()
        read(entry("1", "other"), next_page="2", held=claimed())
        settings.CONSTANT_CONTACT_USERNAME = "another"
        held = claimed()

        assert held.page == ""
        assert not ListEntry.objects.exists()
        assert list(ListPass.objects.all()) == [held]


class TestTheEnd:
    @pytest.fixture(autouse=True)
    def somebody_waits(self) -> Account:
        return unanswered(username="waits")

    def failed(self, **page: Any) -> str:
        first = read(entry("1"), entry("2"), next_page="2", held=claimed())
        held = read(*page.pop("entries", ()), held=claimed(), **page)
        assert (held.pk, held.outcome) == (first.pk, FAILED)
        return held.problem

    def test_a_page_seen_before_fails_the_pass(self) -> None:
        assert self.failed(entries=[entry("2"), entry("1")], next_page="3") == "The same page came twice."

    def test_a_page_that_links_to_itself_fails_the_pass(self) -> None:
        assert self.failed(entries=[entry("3")], next_page="2") == "The same page came twice."

    def test_an_empty_page_with_a_next_link_fails_the_pass(self) -> None:
        assert "has no accounts" in self.failed(next_page="3")

    def test_too_many_pages_fail_the_pass(self) -> None:
        read(entry("1"), next_page="2", held=claimed())
        ListPass.objects.update(pages=MOST_PAGES - 1)
        assert "more than" in read(entry("2"), next_page="3", held=claimed()).problem

    def test_a_failed_pass_is_logged_and_proves_nothing(
        self, somebody_waits: Account, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.failed(next_page="3")
        assert "list not read page=2" in caplog.text
        assert again(somebody_waits).state == State.UNCONFIRMED

    def test_the_last_page_may_be_empty_or_repeat_entries(self) -> None:
        read(entry("1"), next_page="2", held=claimed())
        assert read(entry("1"), held=claimed()).outcome == COMPLETE

    def test_unreadable_entries_are_skipped_and_counted(self) -> None:
        read(entry("1"), next_page="2", skipped=2, held=claimed())
        held = read(skipped=1, held=claimed())
        assert (held.outcome, held.pages, held.entries, held.skipped) == (COMPLETE, 2, 1, 3)

    def test_entries_no_longer_listed_are_deleted_after_a_month(self) -> None:
        read(entry("1", "gone"), held=claimed())
        pass_time(timedelta(days=31))
        Account.objects.update(state=State.UNCONFIRMED, due_at=Now() - HOUR)
        read(entry("2", "there"), held=claimed())
        assert [each.account_id for each in ListEntry.objects.all()] == ["2"]
        assert ListPass.objects.count() == 1


class TestFailuresOfAPage:
    def answered(self, answer: Answer, held: ListPass | None = None) -> ListPass:
        held = held or claimed()
        settle_page(held, answer)
        return ListPass.objects.get(pk=held.pk)

    def test_a_failed_page_is_retried_with_backoff(self, settings: Settings) -> None:
        settings.PROVISION_RECHECK = 30.0
        unanswered()
        answer = Answer(meaning=Meaning.UNKNOWN, status=500, problems=(Problem("", "Down."),))
        for seconds in (30, 60, 120, 240, 300, 300):
            held = self.answered(answer)
            assert held.due_at
            assert held.due_at - now() == pytest.approx(timedelta(seconds=seconds), abs=timedelta(seconds=5))
            assert held.problem == "HTTP 500: Down."
            pass_time(timedelta(seconds=seconds))
            Gateway.objects.update(paused_until=None)

    def test_after_many_failures_the_pass_fails(self) -> None:
        unanswered()
        for _ in range(MOST_FAILURES):
            held = self.answered(Answer(meaning=Meaning.UNKNOWN, status=500))
        assert (held.outcome, held.problem) == (FAILED, "HTTP 500: not a list of accounts")

    def test_a_missing_page_fails_the_pass_at_once(self) -> None:
        unanswered()
        read(entry("1", "other"), next_page="2", held=claimed())
        assert self.answered(Answer(meaning=Meaning.NOTHING_CREATED, status=404)).outcome == FAILED

    def test_the_wait_that_the_provider_asks_for_is_respected(self) -> None:
        unanswered()
        held = self.answered(Answer(meaning=Meaning.UNKNOWN, status=503, retry_after=HOUR))
        assert held.due_at
        assert held.due_at - now() > HOUR * 0.9

    @pytest.mark.parametrize("meaning", [Meaning.OVER_QUOTA, Meaning.STOP])
    def test_a_closed_gateway_does_not_count_as_a_failure_of_the_page(self, meaning: Meaning) -> None:
        unanswered()
        held = self.answered(Answer(meaning=meaning, status=403))
        assert (held.failures, held.outcome) == (0, "")
        assert gateway.current_pause()

    def test_a_canceled_call_does_not_count_as_a_failure_of_the_page(self) -> None:
        unanswered()
        assert self.answered(Answer(meaning=Meaning.RETRY)).failures == 0

    def test_a_list_that_is_always_over_the_rate_fails_in_the_end(self) -> None:
        unanswered()
        for _ in range(MOST_FAILURES):
            held = self.answered(Answer(meaning=Meaning.OVER_RATE, status=429))
            pass_time(HOUR)
        assert held.outcome == FAILED

    def test_a_missing_answer_is_described_as_such(self) -> None:
        unanswered()
        assert self.answered(Answer(meaning=Meaning.UNSENT, problems=(Problem("", "No way."),))).problem == "No way."
        pass_time(HOUR)
        assert self.answered(Answer(meaning=Meaning.UNSENT)).problem == "No answer"


class TestTurns:
    """New sign-ups come first. While one is due, between every fourth and every eighth call reads the list."""

    def test_while_both_wait_every_fourth_call_reads_a_page(
        self, sandbox: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(v2, "PAGE", 1)
        with partner_of(sandbox.url) as partner:
            for number in range(20):
                partner.create(f"elder-{number}")
        sandbox.provider.calls.clear()
        unanswered(username="waits")
        for number in range(24):
            sign_up(username=f"new-{number}")
        work(jobs=32)

        methods = [call.method for call in sandbox.provider.calls]
        assert methods.count("GET") == 8
        assert all(methods[at : at + 4].count("GET") == 1 for at in range(0, 32, 4))

    def test_a_page_is_read_at_once_while_no_sign_up_is_due(self) -> None:
        unanswered()
        pass_time()
        job = next_job()
        assert job is not None
        assert job.func is services.read_page  # type: ignore[attr-defined]

    def test_a_slow_page_does_not_delay_sign_ups(self) -> None:
        unanswered(username="waits")
        account = sign_up()
        claimed()
        Gateway.objects.update(since_page=100)
        pass_time()
        job = next_job()
        assert job is not None
        assert again(account).state == State.SENDING


@BOTH
def test_a_whole_list_is_read_page_by_page_over_http(
    sandbox: Server, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v2, "PAGE", 10)
    monkeypatch.setattr(v3, "PAGE", 10)
    with partner_of(sandbox.url) as partner:
        for number in range(25):
            partner.create(f"elder-{number}", organization_name=f"Elder {number}")
    sandbox.provider.calls.clear()
    Gateway.objects.create(pk=1, list_names=Gateway.ListNames.USERNAME)
    account = unanswered(username="anna-jones")
    work(jobs=3)

    held = ListPass.objects.get()
    assert (held.outcome, held.pages, held.entries) == (COMPLETE, 3, 25)
    assert [call.method for call in sandbox.provider.calls] == ["GET"] * 3
    assert ListEntry.objects.filter(username="elder-24", organization_name="Elder 24").exists()
    assert again(account).state == State.QUEUED


def test_a_page_claim_replaces_an_expired_permit() -> None:
    unanswered()
    pass_time()
    claim = services.claim_page()
    assert claim
    claim.permit = gateway.Permit(0, 0)
    claim.start()
    assert gateway.state().pages == 2
    assert isinstance(claim, claims.Claim)


def test_a_page_that_another_worker_took_over_is_not_read(sandbox: Server) -> None:
    unanswered()
    pass_time()
    claim = services.claim_page()
    assert claim
    claim.permit = gateway.Permit(0, 0)
    pass_time(timedelta(seconds=61))
    claimed()
    workers.read_page(claim)
    assert not sandbox.provider.calls
