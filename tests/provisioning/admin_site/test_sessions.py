"""Staff's sessions: how long they last, how to end them, and which pages ask staff to confirm that it's them."""

from collections.abc import Callable
from copy import copy
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin_site import sessions
from provisioning.models import StaffSession
from signup import emails
from signup.models import StaffIdentity
from tests.provisioning.admin.conftest import Make, State, told
from tests.provisioning.admin_site.test_log_in import code_of

AsRole = Callable[[str], Client]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LOGGED_OUT = "/admin/login/?next=/admin/"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Return a function that advances the clock, which is stopped from then on."""
    moved, start = timedelta(), timezone.now()

    def on(time: timedelta) -> None:
        nonlocal moved
        moved += time
        for module in (timezone, sessions):
            monkeypatch.setattr(module, "now", lambda: start + moved)

    return on


Passes = Callable[[timedelta], None]


def is_in(client: Client) -> bool:
    response: Any = client.get("/admin/")
    assert response.status_code == 200 or response.headers["Location"] == LOGGED_OUT
    return bool(response.status_code == 200)


def test_a_session_ends_hours_after_the_login_even_if_it_is_used(admin_client: Client, passes: Passes) -> None:
    for _ in range(23):
        passes(30 * MINUTE)
        assert is_in(admin_client)
        admin_client.post("/language/", {"language": "fr"})  # A public page, in the same browser.
    passes(30 * MINUTE)
    assert not is_in(admin_client)


def test_an_idle_session_ends(admin_client: Client, passes: Passes) -> None:
    assert is_in(admin_client)
    passes(59 * MINUTE)
    assert is_in(admin_client)
    passes(61 * MINUTE)
    assert not is_in(admin_client)


def test_a_list_that_refreshes_itself_does_not_keep_staff_logged_in(admin_client: Client, passes: Passes) -> None:
    assert is_in(admin_client)
    for _ in range(2):
        passes(25 * MINUTE)
        admin_client.get("/admin/provisioning/account/", headers={"X-Background": "refresh"})
    passes(25 * MINUTE)
    refused = admin_client.get("/admin/provisioning/account/", headers={"X-Background": "refresh"})
    assert refused.status_code == 302
    assert not is_in(admin_client)


def test_a_request_from_elsewhere_or_an_action_is_never_background(admin_client: Client, passes: Passes) -> None:
    assert is_in(admin_client)
    passes(25 * MINUTE)
    admin_client.get("/admin/", headers={"X-Background": "refresh"}, REMOTE_ADDR="203.0.113.9")
    assert StaffSession.objects.get().network == "203.0.113.9"
    for _ in range(2):
        passes(25 * MINUTE)
        admin_client.post("/admin/provisioning/account/columns/", headers={"X-Background": "refresh"})
    passes(25 * MINUTE)
    assert is_in(admin_client)


def test_public_pages_do_not_keep_staff_logged_in(admin_client: Client, passes: Passes) -> None:
    assert is_in(admin_client)
    for _ in range(3):
        passes(25 * MINUTE)
        session = admin_client.session
        session["something"] = "of the public"  # Any write used to renew the session.
        session.save()
        admin_client.get("/")
    assert not is_in(admin_client)


def test_both_limits_are_settings(admin_client: Client, passes: Passes, settings: Any) -> None:
    settings.STAFF_SESSION_HOURS, settings.STAFF_IDLE_MINUTES = 1, 5
    assert is_in(admin_client)
    passes(6 * MINUTE)
    assert not is_in(admin_client)


def test_a_session_from_before_the_limits_is_over(admin_client: Client) -> None:
    session = admin_client.session
    del session[sessions.SINCE]
    session.save()
    assert not is_in(admin_client)


def test_a_page_soon_after_another_one_writes_nothing(admin_client: Client) -> None:
    admin_client.get("/admin/sessions/")
    with CaptureQueriesContext(connection) as captured:
        admin_client.get("/admin/sessions/")
    assert not [each["sql"] for each in captured if not each["sql"].startswith("SELECT")]


class TestOwnSessions:
    def test_are_listed_and_can_be_ended(self, admin_client: Client) -> None:
        elsewhere = Client(headers={"User-Agent": "Elsewhere/1.0"})
        elsewhere.force_login(User.objects.get(username="dora"))
        assert is_in(elsewhere)
        page = admin_client.get("/admin/sessions/").content.decode()
        assert "Elsewhere/1.0" in page
        assert page.count("This session") == 1

        ended = StaffSession.objects.get(browser="Elsewhere/1.0")
        admin_client.post("/admin/sessions/", {"session": ended.pk})

        assert not is_in(elsewhere)
        assert is_in(admin_client)
        assert "Elsewhere/1.0" not in admin_client.get("/admin/sessions/").content.decode()

    def test_can_all_be_ended_including_this_one(self, admin_client: Client) -> None:
        elsewhere = Client()
        elsewhere.force_login(User.objects.get(username="dora"))
        assert is_in(elsewhere)
        assert is_in(admin_client)
        assert admin_client.post("/admin/sessions/", {"session": "all"}).headers["Location"] == "/admin/login/"
        assert not is_in(elsewhere)
        assert not is_in(admin_client)

    @pytest.mark.parametrize("session", ["all", "one"])
    def test_are_ended_only_after_fresh_proof(self, admin_client: Client, passes: Passes, session: str) -> None:
        elsewhere = Client(headers={"User-Agent": "Elsewhere/1.0"})
        elsewhere.force_login(User.objects.get(username="dora"))
        assert is_in(elsewhere)
        passes(11 * MINUTE)
        which = session if session == "all" else StaffSession.objects.get(browser="Elsewhere/1.0").pk

        asked = admin_client.post("/admin/sessions/", {"session": which})

        assert asked.headers["Location"] == "/admin/confirm/?next=%2Fadmin%2Fsessions%2F"
        assert is_in(elsewhere)
        assert admin_client.get("/admin/sessions/").status_code == 200

    def test_are_listed_without_their_keys(self, admin_client: Client) -> None:
        page = admin_client.get("/admin/sessions/").content.decode()
        assert str(admin_client.session.session_key) not in page

    @pytest.mark.parametrize("which", ["", "x", "0", "-1", "٣", "²", "9" * 23, "9" * 5000])
    def test_of_others_and_of_nobody_cannot_be_ended_here(
        self, admin_client: Client, as_role: AsRole, which: str
    ) -> None:
        colleague = as_role("Operator")
        assert is_in(colleague)
        theirs = StaffSession.objects.get(user__username="operator-ana")
        for session in (which, theirs.pk):
            assert admin_client.post("/admin/sessions/", {"session": session}).status_code == 404
        assert is_in(colleague)

    def test_are_left_alone_by_a_customers_link_in_the_same_browser(self, admin_client: Client, make: Make) -> None:
        assert is_in(admin_client)
        listed = StaffSession.objects.get()

        admin_client.get(emails.link_to(make(State.REJECTED), "http://testserver/"))

        assert StaffSession.objects.get() == listed
        assert admin_client.session.session_key == listed.session_id
        admin_client.post("/admin/sessions/", {"session": listed.pk})
        assert not is_in(admin_client)

    def test_are_not_cached_by_the_browser(self, admin_client: Client) -> None:
        assert admin_client.post("/admin/logout/").headers["Clear-Site-Data"] == '"cache"'

    def test_are_deleted_with_djangos_session(self, admin_client: Client) -> None:
        assert is_in(admin_client)
        admin_client.post("/admin/logout/")
        assert not StaffSession.objects.exists()
        assert not Session.objects.exists()


class TestSessionsOfAColleague:
    def test_are_ended_by_an_administrator_and_that_is_recorded(self, as_role: AsRole) -> None:
        colleague, administrator = as_role("Operator"), as_role("Administrator")
        assert is_in(colleague)
        pk = User.objects.get(username="operator-ana").pk
        page = f"/admin/auth/user/{pk}/sessions/"
        assert page in administrator.get(f"/admin/auth/user/{pk}/change/").content.decode()
        assert "operator-ana" in administrator.get(page).content.decode()
        administrator.post(page, {"session": "all"})
        assert not is_in(colleague)
        assert "Ended sessions" in administrator.get(f"/admin/auth/user/{pk}/history/").content.decode()

    def test_are_not_ended_by_others(self, as_role: AsRole, admin_client: Client) -> None:
        assert is_in(admin_client)
        pk = User.objects.get(username="dora").pk
        page = f"/admin/auth/user/{pk}/sessions/"
        for role, status in (("Operator", 404), ("Viewer", 404), ("Administrator", 404)):
            response = as_role(role).post(page, {"session": "all"})
            assert response.status_code in {403, status}
        assert is_in(admin_client)

    def test_are_over_when_the_user_is_made_inactive(self, as_role: AsRole) -> None:
        colleague = as_role("Operator")
        User.objects.filter(username="operator-ana").update(is_active=False)
        assert not is_in(colleague)


class TestFreshProof:
    """Strangers at an unattended browser learn no secret and break nothing."""

    def grave(self, make: Make) -> list[str]:
        account, user = make(State.CREATED), User.objects.get(username="dora")
        device = TOTPDevice.objects.create(user=User.objects.create_user("ben"), name="TOTP", confirmed=True)
        return [
            f"/admin/provisioning/account/{account.pk}/token/",
            f"/admin/provisioning/account/{account.pk}/erase/",
            "/admin/two-factor/",
            "/admin/auth/user/add/",
            f"/admin/auth/user/{user.pk}/change/",
            f"/admin/auth/user/{user.pk}/password/",
            "/admin/auth/group/add/",
            f"/admin/otp_totp/totpdevice/{device.pk}/delete/",
        ]

    def test_is_required_for_sensitive_actions(self, admin_client: Client, make: Make, passes: Passes) -> None:
        pages = self.grave(make)
        for page in pages:
            assert admin_client.get(page).status_code == 200, page
        passes(11 * MINUTE)
        for page in pages:
            for response in (admin_client.get(page), admin_client.post(page, {"confirmed": "yes", "post": "yes"})):
                assert response.headers["Location"] == f"/admin/confirm/?{urlencode({'next': page})}"
        assert TOTPDevice.objects.filter(user__username="ben").exists()

    def test_is_required_for_erasing_in_bulk(self, admin_client: Client, make: Make, passes: Passes) -> None:
        account = make(State.CREATED)
        passes(11 * MINUTE)
        data = {"action": "erase", "_selected_action": [account.pk], "confirmed": "yes"}
        response = admin_client.post("/admin/provisioning/account/", data, follow=True)
        assert response.redirect_chain[0][0].startswith("/admin/confirm/")
        assert "Nothing was done" in told(response)
        account.refresh_from_db()
        assert not account.erased_at

    def test_is_the_password_and_returns_to_the_action(self, admin_client: Client, make: Make, passes: Passes) -> None:
        page = self.grave(make)[0]
        passes(11 * MINUTE)
        asked = admin_client.get(page).headers["Location"]
        for wrong in ("", "guess"):
            assert admin_client.post(asked, {"password": wrong}).status_code == 200
        assert admin_client.post(asked, {"password": "dora-desk-1"}).headers["Location"] == page
        assert admin_client.get(page).status_code == 200

    @pytest.mark.parametrize(
        ("referer", "back"),
        [
            ("http://testserver/admin/provisioning/account/?q=ana", "/admin/provisioning/account/?q=ana"),
            ("http://testserver/admin/confirm/?next=/admin/", "/admin/"),
            ("http://testserver/", "/admin/"),
            ("http://elsewhere.example.com/admin/sessions/", "/admin/"),
            ("", "/admin/"),
        ],
    )
    def test_can_be_canceled_to_where_the_person_was(self, admin_client: Client, referer: str, back: str) -> None:
        asked = admin_client.get("/admin/confirm/?next=/admin/sessions/", headers={"Referer": referer})
        assert f'<a class="closelink" href="{back}">Cancel</a>' in asked.content.decode()
        again = admin_client.post(
            "/admin/confirm/",
            {"password": "guess", "from": back},
            headers={"Referer": "http://testserver/admin/confirm/"},
        )
        assert f'<a class="closelink" href="{back}">Cancel</a>' in again.content.decode()

    def test_gives_the_session_a_new_key_and_ends_the_old_one(self, admin_client: Client) -> None:
        assert is_in(admin_client)
        old = Client()
        old.cookies = copy(admin_client.cookies)
        admin_client.post("/admin/confirm/", {"password": "dora-desk-1"})

        assert not is_in(old)
        assert is_in(admin_client)
        assert StaffSession.objects.get().session_id == admin_client.session.session_key

    def test_is_password_and_code_with_two_factor_authentication(self, admin_client: Client, passes: Passes) -> None:
        device = TOTPDevice.objects.create(user=User.objects.get(username="dora"), name="TOTP", confirmed=True)
        right = {"password": "dora-desk-1", "code": code_of(device)}
        passes(11 * MINUTE)
        for wrong in ({"password": "guess"}, {"code": ""}, {"code": "abc"}):
            assert admin_client.post("/admin/confirm/", right | wrong).status_code == 200
        TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
        assert admin_client.post("/admin/confirm/", right).headers["Location"] == "/admin/"

    def test_with_a_wrong_password_uses_up_no_code_and_counts_once(self, admin_client: Client) -> None:
        device = TOTPDevice.objects.create(user=User.objects.get(username="dora"), name="TOTP", confirmed=True)
        admin_client.post("/admin/confirm/", {"password": "guess", "code": code_of(device)})

        assert TOTPDevice.objects.get().last_t == -1
        assert AccessAttempt.objects.get(username="dora").failures_since_start == 1

    def test_is_required_for_a_new_password_with_two_factor_authentication(
        self, admin_client: Client, passes: Passes
    ) -> None:
        passes(11 * MINUTE)
        assert admin_client.get("/admin/password_change/").status_code == 200
        TOTPDevice.objects.create(user=User.objects.get(username="dora"), name="TOTP", confirmed=True)
        for response in (admin_client.get("/admin/password_change/"), admin_client.post("/admin/password_change/")):
            assert response.headers["Location"].startswith("/admin/confirm/")

    @pytest.mark.parametrize(
        "back",
        ["https://evil.example.com/admin/", "//evil.example.com", "/\\evil.example.com", "/login/", "javascript:x"],
    )
    def test_never_redirects_to_another_site(self, admin_client: Client, back: str) -> None:
        response = admin_client.post(f"/admin/confirm/?next={back}", {"password": "dora-desk-1"})
        assert response.headers["Location"] == "/admin/"


class TestRequiredTwoFactorAuthentication:
    @pytest.fixture(autouse=True)
    def required(self, settings: Any) -> None:
        settings.STAFF_TWO_FACTOR = "required"

    def test_blocks_every_other_page_until_it_is_set_up(self, admin_client: Client, make: Make) -> None:
        account = make(State.HELD)
        for page in ("/admin/", "/admin/provisioning/account/", f"/admin/provisioning/account/{account.pk}/approve/"):
            for response in (admin_client.get(page), admin_client.post(page)):
                assert response.headers["Location"] == "/admin/two-factor/"
        account.refresh_from_db()
        assert account.state == State.HELD
        assert admin_client.get("/admin/two-factor/").status_code == 200
        device = TOTPDevice.objects.get()
        assert (
            admin_client.post("/admin/two-factor/", {"code": code_of(device)}).headers["Location"] == "/admin/sessions/"
        )
        assert is_in(admin_client)

    def test_allows_logging_out(self, admin_client: Client) -> None:
        assert admin_client.post("/admin/logout/").status_code == 200


def test_optional_two_factor_authentication_asks_nobody(admin_client: Client) -> None:
    assert is_in(admin_client)


def test_users_of_the_identity_provider_are_asked_for_no_password(admin_client: Client) -> None:
    StaffIdentity.objects.create(user=User.objects.get(username="dora"), issuer="https://id.example.com", subject="1")
    for response in (admin_client.get("/admin/password_change/"), admin_client.post("/admin/password_change/", {})):
        assert response.status_code == 403
        assert "You log in through your identity provider and have no password here." in response.text
        assert "Your role" not in response.text
