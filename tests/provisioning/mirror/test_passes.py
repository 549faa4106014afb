"""Any worker continues a pass, and only a complete one proves anything."""

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
from provisioning.mirror import matching, passes
from provisioning.mirror.passes import MAX_FAILURES, MAX_PAGES, PassLost
from provisioning.models import Account, Gateway, ListEntry, ListPass
from provisioning.sandbox import Server
from provisioning.services import claims, workers
from provisioning.services.look_ups import settle_page
from tests.provisioning.mirror.conftest import COMPLETE, FAILED, HOUR, claimed, entry, read, unanswered
from tests.provisioning.sandbox.partner import BOTH, partner_of
from tests.provisioning.work import State, again, at_once, now, pass_time, work

pytestmark = pytest.mark.django_db


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
        ListPass.objects.update(pages=MAX_PAGES - 1)
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
        for _ in range(MAX_FAILURES):
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
    def test_a_paused_or_stopped_gateway_does_not_count_as_a_failure_of_the_page(self, meaning: Meaning) -> None:
        unanswered()
        held = self.answered(Answer(meaning=meaning, status=403))
        assert (held.failures, held.outcome) == (0, "")
        assert gateway.current_pause()

    def test_a_canceled_call_does_not_count_as_a_failure_of_the_page(self) -> None:
        unanswered()
        assert self.answered(Answer(meaning=Meaning.RETRY)).failures == 0

    def test_a_list_that_is_always_over_the_rate_fails_in_the_end(self) -> None:
        unanswered()
        for _ in range(MAX_FAILURES):
            held = self.answered(Answer(meaning=Meaning.OVER_RATE, status=429))
            pass_time(HOUR)
        assert held.outcome == FAILED

    def test_a_missing_answer_is_described_as_such(self) -> None:
        unanswered()
        assert self.answered(Answer(meaning=Meaning.UNSENT, problems=(Problem("", "No way."),))).problem == "No way."
        pass_time(HOUR)
        assert self.answered(Answer(meaning=Meaning.UNSENT)).problem == "No answer"


@BOTH
def test_a_whole_list_is_read_page_by_page_over_http(
    sandbox: Server, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v2, "PAGE_SIZE", 10)
    monkeypatch.setattr(v3, "PAGE_SIZE", 10)
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
