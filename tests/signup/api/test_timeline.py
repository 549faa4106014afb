"""What staff see of a sign-up that came through the API."""

import pytest
from django.test import Client

from provisioning.models import Account
from tests.signup.api.partner import Partner

pytestmark = pytest.mark.django_db


def test_the_timeline_begins_with_the_key_and_not_with_a_form(partner: Partner, admin_client: Client) -> None:
    partner.sign_up()

    page = admin_client.get(f"/admin/provisioning/account/{Account.objects.get().pk}/change/").content.decode()

    assert f"Signed up through the API by API key {partner.key}" in page
    assert "submitted the form" not in page


def test_the_audit_trail_names_the_key(partner: Partner, admin_client: Client) -> None:
    partner.sign_up()

    for path in ("", "export.csv"):
        page = admin_client.get(f"/admin/provisioning/auditentry/{path}")
        assert f"API key {partner.key}" in page.getvalue().decode()
