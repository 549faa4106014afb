"""Burst detection: in an abnormal hour, sign-ups that look like the burst are held for staff, and no others."""

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account, NoticeRule
from provisioning.signals import chores
from signup import abuse, burst, form_guard, visits
from signup.abuse import VERDICTS
from signup.burst import FEW, HELD, NEVER_ABNORMAL, PASSED, TIMES_THE_USUAL
from signup.models import Burst, Visit
from tests.signup.accounts import TYPED, account

pytestmark = pytest.mark.django_db

A_WEEK_OF = 7 * 24


@pytest.fixture(autouse=True)
def protected(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.ABUSE_PROTECTION = True
    settings.ALLOWED_HOSTS = ["testserver", "other.example.com"]
    monkeypatch.setattr(visits, "CACHE_SECONDS", 0)
    cache.clear()
    yield
    cache.clear()  # The number of accounts in a usual hour is kept for an hour.


@pytest.mark.parametrize(
    ("calls", "held"),
    [
        ({}, False),
        ({PASSED: NEVER_ABNORMAL - 1, "area": NEVER_ABNORMAL - 1}, False),
        ({PASSED: NEVER_ABNORMAL}, False),
        ({PASSED: NEVER_ABNORMAL, "area": 30}, True),
        ({PASSED: NEVER_ABNORMAL, "area": NEVER_ABNORMAL // 10}, True),
        ({PASSED: NEVER_ABNORMAL, "area": NEVER_ABNORMAL // 10 - 1}, False),
        ({PASSED: NEVER_ABNORMAL, "pace": 50}, True),
        ({PASSED: NEVER_ABNORMAL, "domain": NEVER_ABNORMAL, "host": NEVER_ABNORMAL}, False),
        ({PASSED: NEVER_ABNORMAL * 3 // 2, "domain": 100}, True),
        ({PASSED: NEVER_ABNORMAL * 3 // 2, "host": 100}, True),
        ({PASSED: NEVER_ABNORMAL * 3 // 2, "domain": 80, "area": 2}, False),
        ({PASSED: NEVER_ABNORMAL * 2 - 1}, False),
        ({PASSED: NEVER_ABNORMAL * 2}, True),
        ({PASSED: NEVER_ABNORMAL, HELD: 5000, "area": 1, "domain": 4000}, False),
        ({PASSED: 10, HELD: NEVER_ABNORMAL - 10, "area": FEW - 1}, False),
        ({PASSED: 10, HELD: NEVER_ABNORMAL - 10, "area": 20}, True),
    ],
)
def test_sign_ups_that_resemble_the_burst_are_held(calls: dict[str, int], held: bool) -> None:
    assert burst.should_hold(calls) == held


@pytest.mark.parametrize(("state", "held"), [("created", False), ("held", True), ("closed", True)])
def test_a_burst_is_many_times_the_usual_number_of_accounts_created(state: str, held: bool) -> None:
    Account.objects.bulk_create(
        Account(
            submission=uuid.uuid4(),
            username=f"bob-{number}",
            state=state,
            account_id=str(number) if state == "created" else "",
            submitted_at=timezone.now() - timedelta(days=2),
        )
        for number in range((NEVER_ABNORMAL // TIMES_THE_USUAL + 1) * A_WEEK_OF)
    )

    assert burst.should_hold({PASSED: NEVER_ABNORMAL, "area": 100}) == held


Send = Callable[..., str]


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    """Return a function that sends a form from an address and returns the account's state."""
    seconds = [60.0]
    monkeypatch.setattr(form_guard, "_seconds_since_shown", lambda form: seconds[0])

    def fill_in_and_send(address: str, after: float = 60, headers: dict[str, str] | None = None, **typed: str) -> str:
        seconds[0] = after
        form = TYPED | {"username": f"anna-{uuid.uuid4()}", "email": f"{uuid.uuid4()}@example.com"} | typed
        answer = Client().post("/", form, headers=headers, REMOTE_ADDR=address)
        assert answer.status_code == 302, answer.content.decode()
        return Account.objects.get(reference=answer.headers["Location"].split("/")[-2]).state

    return fill_in_and_send


def came(number: int, ago: timedelta = timedelta(), **traits: str) -> None:
    """Record this many calls with these traits that passed."""
    keys = [VERDICTS[PASSED], *(abuse.key(name, trait) for name, trait in traits.items())]
    calls = [uuid.uuid4() for _ in range(number)]
    Visit.objects.bulk_create(Visit(key=key, submission=call) for key in keys for call in calls)
    Visit.objects.filter(submission__in=calls).update(at=timezone.now() - ago)


def test_seven_networks_are_held_and_customers_from_elsewhere_are_not(send: Send) -> None:
    for number in range(7):
        came(30, area=f"198.51.{number}.0/24")

    assert [send(f"198.51.{number}.77") for number in range(7)] == ["held"] * 7
    assert send("203.0.113.7") == "queued"


def test_an_ipv6_48_counts_as_one_network(send: Send) -> None:
    for number in range(33):
        came(7, area="2001:db8:1::/48", network=f"2001:db8:1:{number}::/64")

    assert send("2001:db8:1:99::1") == "held"
    assert send("2001:db8:2:99::1") == "queued"


def test_a_bot_is_recognized_by_its_regular_pace(send: Send) -> None:
    came(NEVER_ABNORMAL, pace="3")

    assert send("203.0.113.7", after=3.2) == "held"
    assert send("203.0.113.8", after=45) == "queued"


@pytest.mark.parametrize("host", ["OTHER.example.com", "other.example.com:4444", "other.example.com."])
def test_a_brand_is_the_same_however_its_host_is_spelled(send: Send, host: str) -> None:
    came(NEVER_ABNORMAL * 3 // 2, host="other.example.com")

    assert send("203.0.113.7", headers={"host": host}) == "held"


def test_corrections_are_calls_too(client: Client, page_of: Callable[[Account], str], send: Send) -> None:
    came(NEVER_ABNORMAL - 1, area="127.0.0.0/24")
    assert send("127.0.0.9") == "queued"
    Visit.objects.filter(pk__in=Visit.objects.order_by("-pk")[:6].values_list("pk")).delete()

    client.post(page_of(account("rejected", {"username": "Taken."})), {"username": "anna.bakery"})
    cache.clear()  # a second later

    assert send("127.0.0.9") == "held"


CORRECTED = {
    "what was refused": ("", {"username": "anna.bakery"}),
    "anything else": ("?change=1", TYPED | {"username": "anna.bakery"}),
}


@pytest.mark.parametrize(("query", "typed"), CORRECTED.values(), ids=CORRECTED)
def test_a_correction_that_resembles_the_burst_is_held_too(
    client: Client, page_of: Callable[[Account], str], query: str, typed: dict[str, str]
) -> None:
    came(NEVER_ABNORMAL, area="127.0.0.0/24")
    page = page_of(account("rejected", {"username": "Taken."}))

    answer = client.post(page + query, typed, follow=True)

    held = Account.objects.get()
    assert (held.state, held.username) == ("held", "anna.bakery")
    assert "We have received your sign-up" in answer.content.decode()
    assert Burst.objects.get()


def test_a_form_sent_again_corrected_is_held_too(client: Client, page_of: Callable[[Account], str]) -> None:
    came(NEVER_ABNORMAL, area="127.0.0.0/24")
    rejected = account("rejected", {"phone": "Wrong."}, username="anna.bakery")
    page_of(rejected)

    client.post("/", TYPED | {"username": "anna.bakery", "phone": "555 0100 999", "submission": rejected.submission})

    held = Account.objects.get()
    assert (held.state, held.phone) == ("held", "555 0100 999")


def test_a_correction_from_elsewhere_is_not_held(client: Client, page_of: Callable[[Account], str]) -> None:
    came(NEVER_ABNORMAL, area="203.0.113.0/24")

    client.post(page_of(account("rejected", {"username": "Taken."})), {"username": "anna.bakery"})

    assert Account.objects.get().state == "queued"


@pytest.mark.parametrize("ago", [timedelta(minutes=61), timedelta(hours=23)])
def test_a_burst_ends_automatically_after_an_hour(send: Send, ago: timedelta) -> None:
    came(NEVER_ABNORMAL * 3, ago, area="203.0.113.0/24")

    assert send("203.0.113.7") == "queued"


def test_held_sign_ups_wait_for_staff_and_no_worker_takes_them(send: Send) -> None:
    came(NEVER_ABNORMAL, area="203.0.113.0/24")
    send("203.0.113.7")
    held = Account.objects.get()

    assert held in Account.objects.waiting_for_staff()
    assert held.due_at is None
    services.approve(held)
    assert Account.objects.get(pk=held.pk).state == "queued"


def test_without_abuse_protection_nothing_is_held(settings: Settings) -> None:
    settings.ABUSE_PROTECTION = False
    came(NEVER_ABNORMAL * 3, area="127.0.0.0/24")

    Client().post("/", TYPED)

    assert Account.objects.get().state == "queued"


def let_an_hour_pass() -> None:
    Burst.objects.update(held_at=timezone.now() - timedelta(minutes=61))
    cache.clear()


@pytest.mark.django_db(transaction=True)
class TestNotificationOfStaff:
    @pytest.fixture(autouse=True)
    def staff(self, settings: Settings) -> None:
        settings.EMAIL_URL = {"EMAIL_BACKEND": settings.EMAIL_BACKEND}
        settings.DEFAULT_FROM_EMAIL = "signup@example.com"
        for name, right in (("ana", "approve_account"), ("ben", "view_account"), ("no-address", "approve_account")):
            user = User.objects.create_user(name, is_staff=True)
            user.email = "" if name == "no-address" else f"{name}@example.com"
            user.save()
            user.user_permissions.add(Permission.objects.get(codename=right))

    def do_chores(self) -> None:
        chores.send_robust(None)
        for thread in threading.enumerate():
            if thread.name in {"burst", "notices"}:
                thread.join()

    def test_when_it_begins_and_when_it_ends_once_each(self, send: Send) -> None:
        came(NEVER_ABNORMAL, area="203.0.113.0/24")
        self.do_chores()
        assert mail.outbox == []

        send("203.0.113.7")
        send("203.0.113.8")
        self.do_chores()
        self.do_chores()

        (begun,) = mail.outbox
        assert (begun.subject, begun.to) == ("Sign-ups are being held", ["ana@example.com"])
        assert "https://testserver/admin/provisioning/account/?state__exact=held" in begun.body

        let_an_hour_pass()
        self.do_chores()
        self.do_chores()

        assert [message.subject for message in mail.outbox[1:]] == ["The burst of sign-ups is over"]
        assert "2 accounts are waiting" in mail.outbox[1].body
        send("203.0.113.9")
        assert Burst.objects.count() == 2

    def test_a_burst_that_goes_on_is_not_over(self, send: Send) -> None:
        came(NEVER_ABNORMAL, area="203.0.113.0/24")
        send("203.0.113.7")
        let_an_hour_pass()
        send("203.0.113.8")

        self.do_chores()

        assert not Burst.objects.get().is_over
        assert str(Burst.objects.get()).startswith("20")

    def test_a_mail_server_that_fails_stops_nothing(
        self, send: Send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: Any) -> None:
            raise OSError

        monkeypatch.setattr("signup.burst.EmailMessage.send", fail)
        came(NEVER_ABNORMAL, area="203.0.113.0/24")
        send("203.0.113.7")

        self.do_chores()

        assert "could not be emailed" in caplog.text

    def test_by_a_rule_instead_if_there_is_one_for_approvals(self, send: Send) -> None:
        NoticeRule.objects.create(name="Support", incidents=["approval"])
        came(NEVER_ABNORMAL, area="203.0.113.0/24")
        send("203.0.113.7")

        self.do_chores()

        assert mail.outbox == []
        assert Burst.objects.get().is_beginning_reported

    def test_even_if_a_rule_tells_of_approvals_once_a_day(self, send: Send) -> None:
        NoticeRule.objects.create(name="Support", incidents=["approval"], when="daily")
        came(NEVER_ABNORMAL, area="203.0.113.0/24")
        send("203.0.113.7")

        self.do_chores()

        assert len(mail.outbox) == 1

    def test_without_a_mail_server_it_is_in_the_log(
        self, send: Send, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.EMAIL_URL = {}
        came(NEVER_ABNORMAL, area="203.0.113.0/24")

        send("203.0.113.7")
        self.do_chores()

        assert "burst of sign-ups" in caplog.text
        assert mail.outbox == []
