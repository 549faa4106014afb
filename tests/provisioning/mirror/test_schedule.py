"""When a pass over the list is due, and how much of the quota it may use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning import services
from provisioning.constant_contact import v2
from provisioning.management.commands.provision import claim_job
from provisioning.mirror import passes
from provisioning.models import Gateway, ListPass
from provisioning.sandbox import Server
from tests.provisioning.mirror.conftest import COMPLETE, DAY, FAILED, HOUR, claimed, entry, read, unanswered
from tests.provisioning.sandbox.partner import partner_of
from tests.provisioning.work import State, account_in, again, now, pass_time, sign_up, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def routine(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_LIST_HOURS = 24.0


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

    def test_a_pass_that_ends_in_the_future_delays_no_other_and_proves_nothing(self) -> None:
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


class TestTurns:
    """New sign-ups come first. While one is due, between every fourth and every eighth call reads the list."""

    def test_while_both_wait_every_fourth_call_reads_a_page(
        self, sandbox: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(v2, "PAGE_SIZE", 1)
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
        job = claim_job()
        assert job is not None
        assert job.func is services.read_page  # type: ignore[attr-defined]

    def test_a_slow_page_does_not_delay_sign_ups(self) -> None:
        unanswered(username="waits")
        account = sign_up()
        claimed()
        Gateway.objects.update(since_page=100)
        pass_time()
        job = claim_job()
        assert job is not None
        assert again(account).state == State.SENDING
