"""Without the protection everyone passes."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from signup.models import Visit
from tests.signup.accounts import TYPED, account

pytestmark = pytest.mark.django_db

FORM = "/"


class TestSwitchedOff:
    @pytest.fixture(autouse=True)
    def unprotected(self, protected: None, settings: Settings) -> None:
        settings.ABUSE_PROTECTION = False

    def test_everyone_passes_and_nothing_is_counted(self, client: Client, page_of: Callable[[Account], str]) -> None:
        assert client.post(FORM, TYPED | {"comment": "x"}).status_code == 302
        rejected = account("rejected", {"username": "It is taken."})
        assert client.post(page_of(rejected), {"username": "anna.bakery"}).status_code == 302
        assert not Visit.objects.exists()

    def test_the_form_has_no_decoy_and_no_time(self, client: Client) -> None:
        page = client.get(FORM).content.decode()

        assert "decoy" not in page
        assert "shown" not in page
