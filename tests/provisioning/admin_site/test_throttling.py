"""Guesses are blocked by their source, the real user can still log in, and no password entered is stored."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site import throttling
from provisioning.admin_site.throttling import FREE_FAILURES, MAX_FAILURES, MAX_FAILURES_OF_NETWORK, remember_browser
from provisioning.signals import chores
from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.provisioning.admin_site.conftest import LOG_IN, code_of

Passes = Callable[[float], None]


@pytest.fixture(autouse=True)
def ana(db: None) -> User:
    return User.objects.create_user("ana", password=STAFF_PASSWORD, is_staff=True)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Stop the clock, and return a function that advances it by seconds."""
    moved, start = timedelta(), timezone.now()

    def on(seconds: float) -> None:
        nonlocal moved
        moved += timedelta(seconds=seconds)
        for module in (timezone, throttling):
            monkeypatch.setattr(module, "now", lambda: start + moved)

    on(0)
    return on


def log_in(address: str, password: str = "guess", username: str = "ana", client: Client | None = None) -> int:
    client = client or Client()
    data = {"username": username, "password": password}
    status: int = client.post(LOG_IN, data, REMOTE_ADDR=address).status_code
    return status


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    for last in range(MAX_FAILURES):
        log_in(f"2001:db8:1:2::{last + 1:x}")
    assert log_in("2001:db8:1:2:ffff::1", STAFF_PASSWORD) == 429
    assert log_in("2001:db8:1:3::1", STAFF_PASSWORD) == 302


def test_without_an_ip_address_the_owner_is_slowed_but_not_locked_out(passes: Passes) -> None:
    for _ in range(FREE_FAILURES):
        passes(61)
        log_in("")
    assert AccessAttempt.objects.get().ip_address is None
    assert log_in("", STAFF_PASSWORD) == 429
    passes(61)
    assert log_in("", STAFF_PASSWORD) == 302


def test_distributed_guesses_at_one_user_wait_longer_each_time(passes: Passes) -> None:
    for number in range(FREE_FAILURES):
        log_in(f"203.0.113.{number}")
    waits = []
    for number in range(9):
        wait = 0.5
        while log_in(f"198.51.100.{number}") == 429 and not AccessAttempt.objects.filter(
            ip_address=f"198.51.100.{number}"
        ):
            passes(wait)
            wait *= 2
        waits.append(wait)
    assert waits == sorted(waits)
    assert waits[-1] >= 32
    passes(61)
    assert log_in("192.0.2.1", STAFF_PASSWORD) == 302


def test_a_guess_made_too_early_does_not_make_the_wait_longer(passes: Passes) -> None:
    for _ in range(MAX_FAILURES):
        log_in("203.0.113.9")
    for _ in range(15):
        passes(59)
        assert log_in("203.0.113.9", STAFF_PASSWORD) == 429
    passes(16)
    assert log_in("203.0.113.9", STAFF_PASSWORD) == 302


def test_strangers_cannot_lock_the_owner_out_of_a_known_browser(passes: Passes) -> None:
    known = Client()
    assert log_in("192.0.2.1", STAFF_PASSWORD, client=known) == 302
    known.post("/admin/logout/")
    for number in range(3 * FREE_FAILURES):
        log_in(f"203.0.113.{number}")
    for number in range(MAX_FAILURES_OF_NETWORK):
        log_in("192.0.2.1", username=f"user-{number}")
    assert log_in("192.0.2.1", STAFF_PASSWORD) == 429
    assert log_in("192.0.2.1", STAFF_PASSWORD, client=known) == 302


def test_guesses_from_a_known_browser_are_limited_too(passes: Passes) -> None:
    known = Client()
    log_in("192.0.2.1", STAFF_PASSWORD, client=known)
    known.post("/admin/logout/")
    for number in range(MAX_FAILURES):
        log_in(f"203.0.113.{number}", client=known)
    assert log_in("203.0.113.77", STAFF_PASSWORD, client=known) == 429
    other = User.objects.create_user("ben", password=STAFF_PASSWORD, is_staff=True)
    for number in range(FREE_FAILURES):
        log_in(f"203.0.113.{number}", username="ben")
    assert log_in("198.51.100.1", STAFF_PASSWORD, username=other.username, client=known) == 429


class TestAKnownBrowser:
    """Whoever has a browser's cookie gets past the limits on strangers, so it proves as little as possible."""

    def known(self, username: str = "ana", password: str = STAFF_PASSWORD) -> Client:
        """Return a browser in which the user has logged in."""
        browser = Client()
        assert log_in("192.0.2.1", password, username, browser) == 302
        browser.post("/admin/logout/")
        return browser

    def besieged(self, username: str = "ana") -> None:
        """Make strangers guess until every browser that is not known has to wait."""
        for number in range(FREE_FAILURES + 9):
            AccessAttempt.objects.create(
                username=username,
                ip_address=f"203.0.113.{number}",
                failures_since_start=1,
                attempt_time=timezone.now(),
            )

    def test_has_a_value_of_its_own(self) -> None:
        values = {self.known().cookies[settings.KNOWN_BROWSER_COOKIE_NAME].value for _ in range(2)}

        assert len(values) == 2

    def test_is_no_longer_known_after_a_new_password(self, ana: User, passes: Passes) -> None:
        thief = self.known()
        ana.set_password("another-long-one")
        ana.save()
        self.besieged()

        assert log_in("198.51.100.1", "another-long-one", client=thief) == 429

    def test_is_still_known_after_the_user_changed_the_password_in_it(self, passes: Passes) -> None:
        own, new = Client(), "kestrel-marble-92"
        log_in("192.0.2.1", STAFF_PASSWORD, client=own)
        form = {"old_password": STAFF_PASSWORD, "new_password1": new, "new_password2": new}
        assert own.post("/admin/password_change/", form).status_code == 302
        own.post("/admin/logout/")
        self.besieged()

        assert log_in("198.51.100.1", new, client=own) == 302

    def test_is_not_locked_out_by_guesses_in_another_one(self, passes: Passes) -> None:
        thief, own = self.known(), self.known()
        for number in range(MAX_FAILURES):
            log_in(f"203.0.113.{number}", client=thief)

        assert log_in("198.51.100.1", STAFF_PASSWORD, client=thief) == 429
        assert log_in("198.51.100.1", STAFF_PASSWORD, client=own) == 302

    def test_is_limited_with_the_others_of_its_network(self, passes: Passes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttling, "MAX_FAILURES_OF_NETWORK", 6)
        thieves = [self.known(), self.known()]
        for thief in thieves:
            for _ in range(MAX_FAILURES - 2):
                assert log_in("203.0.113.9", client=thief) in {200, 429}

        assert log_in("203.0.113.9", STAFF_PASSWORD, client=thieves[0]) == 429
        assert log_in("198.51.100.1", STAFF_PASSWORD, client=thieves[0]) == 302

    @pytest.mark.parametrize("value", ["", "x", "x:y:z", "\xe9", ":" * 3])
    def test_cannot_be_made_up(self, passes: Passes, value: str) -> None:
        browser = Client()
        browser.cookies[settings.KNOWN_BROWSER_COOKIE_NAME] = value
        self.besieged()

        assert log_in("198.51.100.1", STAFF_PASSWORD, client=browser) == 429

    def test_is_known_to_its_user_only(self, passes: Passes) -> None:
        User.objects.create_user("ben", password=STAFF_PASSWORD, is_staff=True)
        self.besieged("ben")

        assert log_in("198.51.100.1", STAFF_PASSWORD, "ben", self.known()) == 429


def test_one_network_can_guess_at_a_limited_number_of_users() -> None:
    for number in range(MAX_FAILURES_OF_NETWORK):
        log_in("203.0.113.9", username=f"user-{number}")
    assert log_in("203.0.113.9", STAFF_PASSWORD) == 429
    assert log_in("203.0.113.10", STAFF_PASSWORD) == 302


@pytest.mark.parametrize(
    ("attackers", "neighbor", "elsewhere"),
    [("2001:db8:0:{:x}::1", "2001:db8:0:ffff::1", "2001:db8:1::1"), ("203.0.113.{}", "203.0.113.250", "198.51.100.1")],
)
def test_one_area_can_guess_at_a_limited_number_of_users(
    attackers: str, neighbor: str, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One customer of an internet provider may have a whole /48, with 65,536 networks."""
    monkeypatch.setattr(throttling, "MAX_FAILURES_OF_AREA", 12)
    known = Client()
    log_in(neighbor, STAFF_PASSWORD, client=known)
    known.post("/admin/logout/")
    for number in range(12):
        log_in(attackers.format(number), username=f"user-{number}")

    assert log_in(neighbor, STAFF_PASSWORD) == 429
    assert log_in(elsewhere, STAFF_PASSWORD) == 302
    assert log_in(neighbor, STAFF_PASSWORD, client=known) == 302


def test_the_count_of_an_area_is_not_taken_for_one_of_its_networks() -> None:
    for number in range(1, MAX_FAILURES_OF_NETWORK + 1):
        log_in(f"2001:db8:0:{number:x}::1", username=f"user-{number}")

    assert log_in("2001:db8::1", STAFF_PASSWORD) == 302


class TestConcurrentLogins:
    """Hashing a password takes a whole core for a while, and other pages need one too."""

    @pytest.fixture(autouse=True)
    def many(self) -> Iterator[None]:
        with ExitStack() as others:
            for number in range(throttling.MAX_CONCURRENT):
                others.enter_context(throttling.limit_concurrency(RequestFactory().post("/"), f"user-{number}"))
            yield

    def test_are_limited_in_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(User, "check_password", lambda *_: pytest.fail("hashed"))

        answer = Client().post(LOG_IN, {"username": "ana", "password": STAFF_PASSWORD})

        assert "Too many people are logging in right now" in answer.content.decode()
        assert not AccessAttempt.objects.exists()

    def test_are_not_limited_for_a_known_browser(self) -> None:
        client = Client()
        remember_browser(answer := HttpResponse(), User.objects.get())
        client.cookies.update(answer.cookies)

        assert log_in("203.0.113.9", STAFF_PASSWORD, client=client) == 302


def test_guesses_leave_one_turn_to_others() -> None:
    """Whoever has failed, from any network of an area, can't keep the others from logging in."""
    for number in range(throttling.MAX_CONCURRENT):
        log_in(f"2001:db8:0:{number:x}::1", username=f"user-{number}")
    guess = RequestFactory().post("/", REMOTE_ADDR="2001:db8:0:99::1")

    with ExitStack() as guesses:
        for number in range(throttling.MAX_CONCURRENT - 1):
            guesses.enter_context(throttling.limit_concurrency(guess, f"user-{number}"))
        with pytest.raises(throttling.TooManyLogins), throttling.limit_concurrency(guess, "ana"):
            pass
        assert log_in("198.51.100.1", STAFF_PASSWORD) == 302
    assert log_in("2001:db8:0:99::1", STAFF_PASSWORD) == 302


def test_concurrent_logins_are_not_limited_by_earlier_ones(client: Client) -> None:
    for _ in range(throttling.MAX_CONCURRENT + 1):
        assert log_in("203.0.113.9", STAFF_PASSWORD) == 302


class TestACode:
    @pytest.fixture
    def device(self, ana: User) -> TOTPDevice:
        return TOTPDevice.objects.create(user=ana, name="TOTP", confirmed=True)

    @pytest.mark.parametrize("code", ["", "000000", "abc"])
    def test_that_is_wrong_or_missing_counts_like_a_wrong_password(
        self, device: TOTPDevice, client: Client, code: str
    ) -> None:
        data = {"username": "ana", "password": STAFF_PASSWORD, "code": code}
        statuses = [client.post(LOG_IN, data).status_code for _ in range(MAX_FAILURES)]
        assert statuses == [200] * (MAX_FAILURES - 1) + [429]
        TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
        assert client.post(LOG_IN, data | {"code": code_of(device)}).status_code == 429

    def test_that_is_missing_delays_nobody(self, device: TOTPDevice, client: Client) -> None:
        for _ in range(MAX_FAILURES - 1):
            client.post(LOG_IN, {"username": "ana", "password": STAFF_PASSWORD, "code": ""})
        data = {"username": "ana", "password": STAFF_PASSWORD, "code": code_of(device)}
        assert client.post(LOG_IN, data).status_code == 302


def test_nothing_that_was_entered_is_stored(client: Client, ana: User) -> None:
    TOTPDevice.objects.create(user=ana, name="TOTP", confirmed=True)
    entered = {
        "password": "canary-password",
        "code": "271828",
        "old_password": "canary-old",
        "new_password1": "canary-new",
    }
    client.post(LOG_IN + "&canary=query", {"username": "ana"} | entered)
    client.post(LOG_IN, {"username": "ana"} | entered | {"password": STAFF_PASSWORD})
    client.force_login(ana)
    for page in ("/admin/confirm/", "/admin/password_change/"):
        client.post(page, entered)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM axes_accessattempt")
        kept = str(cursor.fetchall())
    assert "ana" in kept
    assert "canary" not in kept
    assert "271828" not in kept
    assert not AccessLog.objects.exists()
    assert not AccessFailureLog.objects.exists()


@pytest.mark.parametrize("username", ["", "\0", "x" * 1000, "ü\ud800"])
def test_an_unusual_username_is_not_a_server_error(username: str) -> None:
    assert log_in("203.0.113.9", username=username.encode(errors="replace").decode()) == 200


def test_expired_attempts_are_deleted_by_a_chore(passes: Passes) -> None:
    log_in("203.0.113.9")
    chores.send_robust(None)
    assert AccessAttempt.objects.exists()
    passes(16 * 60)
    chores.send_robust(None)
    assert not AccessAttempt.objects.exists()


def test_the_page_says_how_long_to_wait(client: Client) -> None:
    data: Any = {"username": "ana", "password": "guess"}
    for _ in range(MAX_FAILURES):
        response = client.post(LOG_IN, data)
    assert "Try again in 15\xa0minutes" in response.content.decode()
