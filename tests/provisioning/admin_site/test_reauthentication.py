"""Which pages ask staff to confirm that it's them, and with what."""

from copy import copy
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.models import StaffSession
from signup.models import StaffIdentity
from tests.provisioning.admin.conftest import Make, State, told
from tests.provisioning.admin_site.conftest import Passes, code_of, is_in
from tests.provisioning.admin_site.test_permissions import address, names, there

__all__ = ["there"]

MINUTE = timedelta(minutes=1)


class TestReauthentication:
    """Strangers at an unattended browser learn no secret and break nothing."""

    def sensitive_pages(self, make: Make) -> list[str]:
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
        pages = self.sensitive_pages(make)
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
        page = self.sensitive_pages(make)[0]
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
            ("http://testserver//elsewhere.example.com/admin/", "/admin/"),
            ("http://elsewhere.example.com/admin/sessions/", "/admin/"),
            ("http://[testserver/admin/sessions/", "/admin/"),
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


ASKED = {
    "auth_group_add",
    "auth_group_change",
    "auth_group_delete",
    "auth_user_add",
    "auth_user_change",
    "auth_user_password_change",
    "auth_user_sessions",
    "otp_totp_totpdevice_delete",
    "provisioning_account_erase",
    "provisioning_account_token",
    "provisioning_endpoint_add",
    "provisioning_endpoint_change",
    "provisioning_endpoint_delete",
    "provisioning_endpoint_secret",
    "provisioning_endpoint_switch",
    "provisioning_noticerule_add",
    "provisioning_noticerule_change",
    "provisioning_noticerule_delete",
    "sessions",
    "signup_apikey_add",
    "signup_apikey_change",
    "signup_apikey_revoke",
    "signup_brand_delete",
    "signup_legaltext_delete",
    "two_factor",
}
"""The addresses that ask staff to confirm that it's them. The forms of brands and legal texts ask for some fields."""


@pytest.mark.once
def test_only_these_addresses_ask(there: dict[str, str], admin_client: Client, passes: Passes) -> None:
    passes(11 * MINUTE)

    def asks(name: str) -> bool:
        with transaction.atomic():
            answer = admin_client.post(address(name, there))
            transaction.set_rollback(True)
        return bool(answer.headers.get("Location", "").startswith("/admin/confirm/"))

    assert {name for name in names() if name != "logout" and asks(name)} == ASKED


def test_what_only_takes_a_post_comes_back_to_a_page(
    there: dict[str, str], admin_client: Client, passes: Passes
) -> None:
    passes(11 * MINUTE)
    page = f"/admin/provisioning/endpoint/{there['provisioning_endpoint']}/"
    asked = admin_client.post(f"{page}switch/").headers["Location"]

    assert admin_client.post(asked, {"password": "dora-desk-1"}).headers["Location"] == f"{page}change/"


def test_users_of_the_identity_provider_are_asked_for_no_password(admin_client: Client) -> None:
    StaffIdentity.objects.create(user=User.objects.get(username="dora"), issuer="https://id.example.com", subject="1")
    for response in (admin_client.get("/admin/password_change/"), admin_client.post("/admin/password_change/", {})):
        assert response.status_code == 403
        assert "You log in through your identity provider and have no password here." in response.text
        assert "Your role" not in response.text
