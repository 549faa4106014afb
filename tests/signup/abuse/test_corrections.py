"""Corrections are limited like sign-ups."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from provisioning.models import Account
from signup.abuse import LIMITS
from tests.signup.abuse.conftest import here, used_up
from tests.signup.accounts import account

pytestmark = pytest.mark.django_db


class TestCorrections:
    SOURCES = [
        ("network", "127.0.0.1"),
        ("networks", "127.0.0.0/24"),
        ("email", here("anna@nullmailer.com", "127.0.0.0/24")),
        ("correction", None),
    ]

    @pytest.mark.parametrize(("limit", "source"), SOURCES)
    def test_are_limited_because_each_is_another_call(
        self,
        client: Client,
        page_of: Callable[[Account], str],
        caplog: pytest.LogCaptureFixture,
        limit: str,
        source: str | None,
    ) -> None:
        rejected = account("rejected", {"username": "It is taken."}, email="anna@nullmailer.com")
        used_up(limit, source or str(rejected.reference), LIMITS[limit].an_hour)

        refused = client.post(page_of(rejected), {"username": "anna.bakery"})

        assert refused.status_code == 429
        assert f"correction stopped by=limit reference={rejected.reference}" in caplog.messages
        assert "Please try again in an hour." in refused.content.decode()
        assert 'value="anna.bakery"' in refused.content.decode()
        assert Account.objects.get().state == "rejected"

    def test_of_one_sign_up_do_not_count_for_another(self, client: Client, page_of: Callable[[Account], str]) -> None:
        used_up("correction", str(uuid.uuid4()), LIMITS["correction"].an_hour)
        rejected = account("rejected", {"username": "It is taken."})

        assert client.post(page_of(rejected), {"username": "anna.bakery"}).status_code == 302

    def test_each_count_like_a_sign_up(
        self, client: Client, page_of: Callable[[Account], str], send: Callable[..., Any]
    ) -> None:
        for number in range(LIMITS["email"].an_hour):
            rejected = account("rejected", {"username": "It is taken."}, email="anna@nullmailer.com")
            client.post(page_of(rejected), {"username": f"anna.bakery-{number}"}, REMOTE_ADDR=f"203.0.113.{number}")

        client.cookies.clear()
        assert send(email="anna@nullmailer.com").status_code == 429
