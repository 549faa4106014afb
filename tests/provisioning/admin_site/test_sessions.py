"""Staff's sessions: how long they last, and how to end them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.admin_site import sessions
from provisioning.models import StaffSession
from signup import emails
from tests.provisioning.admin.conftest import Make, State
from tests.provisioning.admin_site.conftest import Passes, is_in

AsRole = Callable[[str], Client]
MINUTE = timedelta(minutes=1)


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

    @pytest.mark.parametrize("before", [None, "ana"])
    def test_include_those_that_opened_no_page_yet(self, admin_client: Client, staff: None, before: str | None) -> None:
        elsewhere = Client()
        for name in filter(None, (before, "dora")):
            elsewhere.force_login(User.objects.get(username=name))
        assert StaffSession.objects.filter(user__username="dora", session=elsewhere.session.session_key).exists()
        admin_client.post("/admin/sessions/", {"session": "all"})
        assert not is_in(elsewhere)

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


def test_a_session_is_over_when_its_user_is_made_inactive(as_role: AsRole) -> None:
    colleague = as_role("Operator")
    User.objects.filter(username="operator-ana").update(is_active=False)
    assert not is_in(colleague)
