"""`STAFF_TWO_FACTOR`: whether staff must set up two-factor authentication first."""

from typing import Any

import pytest
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.provisioning.admin.conftest import STAFF_PASSWORD, Make, State
from tests.provisioning.admin_site.conftest import code_of, is_in, log_in


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

    def test_lets_in_no_session_that_began_with_only_the_password(self, client: Client, staff: None) -> None:
        thief, colleague = Client(), Client()
        for each, name in ((thief, "ana"), (client, "ana"), (colleague, "ben")):
            log_in(each, name, STAFF_PASSWORD)
        client.get("/admin/two-factor/")
        client.post("/admin/two-factor/", {"code": code_of(TOTPDevice.objects.get())})
        assert is_in(client)
        assert not is_in(thief)
        assert colleague.get("/admin/").headers["Location"] == "/admin/two-factor/"

    def test_allows_logging_out(self, admin_client: Client) -> None:
        assert admin_client.post("/admin/logout/").status_code == 200


def test_optional_two_factor_authentication_asks_nobody(admin_client: Client) -> None:
    assert is_in(admin_client)
