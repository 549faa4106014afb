"""Staff hear of each incident once when it begins and once when it ends, however many accounts it concerns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Account, Endpoint, Incident, Notice, Worker
from provisioning.notices import incidents, rules
from provisioning.notices.incidents import QUIET_PERIOD
from provisioning.sealed import NOTHING
from tests.provisioning.notices.conftest import Look, MakeRule, pass_time
from tests.provisioning.work import State, account_in

pytestmark = pytest.mark.django_db

Kind = Incident.Kind


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


def end(look: Look) -> None:
    """Let an incident whose cause is gone end."""
    look()
    pass_time(QUIET_PERIOD)
    look()


def hold(number: int) -> None:
    for each in range(number):
        account_in(State.HELD, username=f"anna-{each}")


class TestAnIncident:
    def test_is_told_once_when_it_begins_and_once_when_it_ends(self, rule: MakeRule, look: Look) -> None:
        rule()
        gateway.stop("The key is inactive.")
        for _ in range(3):
            look()
        assert subjects() == ["Sending stopped"]
        assert "The key is inactive." in mail.outbox[0].body
        gateway.resume()
        end(look)
        end(look)
        assert subjects() == ["Sending stopped", "Resolved: Sending stopped"]
        assert "You don't need to do anything" in mail.outbox[-1].body

    @pytest.mark.once
    def test_that_comes_and_goes_all_day_is_told_a_few_times(self, rule: MakeRule, look: Look) -> None:
        """A stranger can make a sign-up that needs a correction, and correct it, again and again."""
        rule()
        for number in range(96):
            waiting = account_in(State.REJECTED, username=f"anna-{number}")
            look()
            Account.objects.filter(pk=waiting.pk).update(state=State.CLOSED, password=NOTHING)
            look()
            pass_time(timedelta(minutes=15))
            look()
        assert 2 <= len(mail.outbox) <= 16

    def test_is_told_soon_again_after_a_day_without_one(self, rule: MakeRule, look: Look) -> None:
        rule()
        for _ in range(2):
            for _ in range(3):
                gateway.stop("The key is inactive.")
                look()
                gateway.resume()
                look()
                pass_time(timedelta(hours=1))
                look()
            assert Incident.objects.filter(ended_at=None).count() == 0
            pass_time(timedelta(days=1))
        assert len(mail.outbox) == 12

    def test_is_one_thread_of_emails(self, rule: MakeRule, look: Look) -> None:
        rule()
        gateway.stop("The key is inactive.")
        look()
        gateway.resume()
        end(look)
        first, last = (message.extra_headers for message in mail.outbox)
        assert last["In-Reply-To"] == last["References"] == first["Message-ID"]

    def test_of_many_accounts_is_told_once(self, rule: MakeRule, look: Look) -> None:
        rule()
        hold(5)
        look()
        account_in(State.HELD, username="bert")
        look()
        assert subjects() == ["Accounts wait for approval"]
        assert "5 accounts." in mail.outbox[0].body
        assert "https://signup.example.com/admin/provisioning/account/held/" in mail.outbox[0].body
        assert Incident.objects.get().detail == "6 accounts."

    def test_that_comes_and_goes_is_one(self, rule: MakeRule, look: Look) -> None:
        rule()
        for _ in range(3):
            hold(1)
            look()
            Account.objects.all().delete()
            look()
            pass_time(QUIET_PERIOD / 2)
        assert subjects() == ["Accounts wait for approval"]

    def test_names_nobody(self, rule: MakeRule, look: Look) -> None:
        rule()
        account = account_in(State.HELD)
        look()
        for name in ("organization_name", "email", "username", "first_name"):
            assert getattr(account, name) not in mail.outbox[0].body

    def test_is_begun_once_by_several_workers(self, rule: MakeRule, look: Look) -> None:
        rule()
        gateway.stop("The key is inactive.")
        look()
        incidents._begin((Kind.STOPPED, ""), "The key is inactive.")
        assert (Incident.objects.count(), Notice.objects.count()) == (1, 1)

    def test_without_a_rule_is_not_looked_for(self, look: Look) -> None:
        gateway.stop("The key is inactive.")
        look()
        assert not Incident.objects.exists()


def stop(settings: Settings) -> None:
    gateway.stop("The key is inactive.")


def use_quota(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1
    gateway.acquire_permit()


def lose_worker(settings: Settings | None = None, name: str = "host:1", minutes: int = 2) -> None:
    """Add a worker that ran for a day, and stopped reporting so many minutes ago."""
    gone = Now() - timedelta(minutes=minutes)
    Worker.objects.create(name=name, seen_at=gone, started_at=gone - timedelta(hours=20))


def lose_endpoint(settings: Settings, name: str = "CRM") -> None:
    Endpoint.objects.create(name=name, url="https://crm.example.com/", is_on=False, off_reason="It answered 410.")


@pytest.mark.parametrize(
    ("happen", "kind", "detail", "advice"),
    [
        (stop, Kind.STOPPED, "inactive", "resume sending"),
        (lambda settings: account_in(State.HELD), Kind.APPROVAL, "1 account.", "Approve or decline"),
        (lambda settings: account_in(State.REJECTED), Kind.CORRECTION, "1 account.", "?state__exact=rejected"),
        (lambda settings: account_in(State.UNCONFIRMED, due_at=None), Kind.DECISION, "1 account.", "?show=lost"),
        (lose_worker, Kind.WORKER, "host:1 stopped reporting", "whoever runs this installation"),
        (lose_endpoint, Kind.ENDPOINT, "CRM: It answered 410.", "switch it on again"),
        (use_quota, Kind.QUOTA, "1 of 1 calls", "You don't need to do anything"),
    ],
)
def test_each_kind_is_told_to_those_whose_rule_says_so(
    happen: Callable[[Settings], object],
    kind: str,
    detail: str,
    advice: str,
    settings: Settings,
    rule: MakeRule,
    look: Look,
) -> None:
    rule(incidents=[kind])
    look()
    assert subjects() == []
    happen(settings)
    look()
    [message] = mail.outbox
    assert detail in message.body
    assert advice in message.body
    assert message.to == ["dora@example.com"]


def test_other_kinds_are_not_told(rule: MakeRule, look: Look) -> None:
    rule(incidents=[Kind.QUOTA])
    gateway.stop("The key is inactive.")
    look()
    assert subjects() == []


class TestAWorkerThatIsGone:
    def test_is_no_incident_once_another_has_started(self, rule: MakeRule, look: Look) -> None:
        rule()
        lose_worker()
        Worker.objects.create(name="host:2")
        look()
        assert subjects() == []

    def test_is_one_if_only_others_go_on(self, rule: MakeRule, look: Look) -> None:
        rule()
        Worker.objects.create(name="host:2", started_at=Now() - timedelta(hours=1))
        lose_worker()
        look()
        assert subjects() == ["A worker is gone"]

    def test_is_told_also_while_another_one_is(self, rule: MakeRule, look: Look) -> None:
        rule()
        lose_worker(minutes=30)
        look()
        lose_worker(name="host:2")
        look()
        assert ["host:1" in message.body for message in mail.outbox] == [True, False]
        assert "host:2 stopped reporting" in mail.outbox[1].body

    def test_is_over_for_each_that_is_replaced(self, rule: MakeRule, look: Look) -> None:
        rule()
        lose_worker(minutes=30)
        lose_worker(name="host:2")
        look()
        Worker.objects.create(name="host:3")
        end(look)
        assert subjects() == ["A worker is gone", "A worker is gone", "Resolved: A worker is gone"]
        assert Incident.objects.filter(ended_at=None).count() == 1

    def test_that_starts_and_dies_again_and_again_is_one(self, rule: MakeRule, look: Look) -> None:
        rule()
        for number in range(5):
            Worker.objects.create(name=f"host:{number}", started_at=Now() - timedelta(minutes=1))
            look()
            Worker.objects.update(
                seen_at=F("seen_at") - timedelta(minutes=3), started_at=F("started_at") - timedelta(minutes=3)
            )
            look()
        assert subjects() == ["A worker is gone"]

    def test_is_in_the_next_digest(self, rule: MakeRule, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
        rule(when="daily")
        monkeypatch.setattr(rules, "localtime", lambda: timezone.localtime().replace(hour=9))
        lose_worker(minutes=23 * 60)
        look()
        assert "host:1 stopped reporting" in mail.outbox[0].body


class TestAnEndpointThatIsOff:
    def test_is_told_also_while_another_one_is(self, rule: MakeRule, look: Look, settings: Settings) -> None:
        rule()
        lose_endpoint(settings)
        look()
        lose_endpoint(settings, "Shop")
        look()
        assert ["CRM:" in mail.outbox[0].body, "CRM:" in mail.outbox[1].body] == [True, False]
        assert "Shop: It answered 410." in mail.outbox[1].body

    def test_is_over_once_it_is_on(self, rule: MakeRule, look: Look, settings: Settings) -> None:
        rule()
        for name in ("CRM", "Shop"):
            lose_endpoint(settings, name)
        look()
        Endpoint.objects.filter(name="Shop").update(is_on=True, off_reason="")
        end(look)
        assert mail.outbox[-1].subject == "Resolved: An event endpoint was switched off"
        assert "Shop: It answered 410." in mail.outbox[-1].body
        assert Incident.objects.get(ended_at=None).detail == "CRM: It answered 410."


class TestADigest:
    @pytest.fixture(autouse=True)
    def at_nine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = timezone.localtime().replace(hour=9)
        monkeypatch.setattr(rules, "localtime", lambda: self.now)

    def test_comes_once_a_day_with_all_that_needs_staff(self, rule: MakeRule, look: Look) -> None:
        rule(when="daily")
        gateway.stop("The key is inactive.")
        hold(2)
        for _ in range(2):
            look()
        [message] = mail.outbox
        assert message.subject == "What needs your attention today"
        assert "Sending stopped: The key is inactive." in message.body
        assert "Accounts wait for approval: 2 accounts." in message.body
        self.now += timedelta(days=1)
        look()
        assert len(mail.outbox) == 2

    def test_comes_not_before_eight(self, rule: MakeRule, look: Look) -> None:
        self.now = self.now.replace(hour=7)
        rule(when="daily")
        hold(1)
        look()
        assert subjects() == []

    def test_does_not_come_if_there_is_nothing_to_tell(self, rule: MakeRule, look: Look) -> None:
        rule(when="daily")
        look()
        assert not Notice.objects.exists()
