"""Each staff member chooses the columns of the list."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.admin.columns import COLUMNS, USUAL
from provisioning.models import Preferences
from tests.provisioning.admin.conftest import Make, State

LIST = "/admin/provisioning/account/"


def choose(client: Client, *columns: str, query: str = "") -> Any:
    return client.post(f"{LIST}columns/", {"column": columns, "query": query})


def shown(client: Client) -> list[str]:
    return [name for name in client.get(LIST).context["cl"].list_display if name != "action_checkbox"]


def test_the_list_shows_the_chosen_columns_in_the_standard_order(admin_client: Client, make: Make) -> None:
    make(State.CREATED, phone="+49 30 1234567")
    assert shown(admin_client) == [*USUAL]
    choose(admin_client, "phone", "colored_state")
    assert shown(admin_client) == ["colored_state", "customer", "phone"]
    page = admin_client.get(LIST).content.decode()
    assert "+49 30 1234567" in page
    assert 'value="phone" checked' in page
    assert 'value="email">' in page


def test_each_user_has_their_own_choice(admin_client: Client, client: Client, make: Make) -> None:
    choose(admin_client, "phone")
    other = Client()
    other.force_login(User.objects.create_superuser("ben"))
    assert shown(other) == [*USUAL]


def test_choosing_no_column_restores_the_default(admin_client: Client) -> None:
    choose(admin_client, "phone")
    choose(admin_client)
    assert shown(admin_client) == [*USUAL]


def test_the_filter_is_kept(admin_client: Client) -> None:
    response = choose(admin_client, "phone", query="state__exact=held&o=2&q=a%26b")
    assert response.url == f"{LIST}?state__exact=held&q=a%26b"


@pytest.mark.parametrize("query", ["//evil.example", "https://evil.example", "\r\nX: y"])
def test_the_redirect_never_leaves_the_list(admin_client: Client, query: str) -> None:
    assert choose(admin_client, query=query).url.startswith(f"{LIST}?")


def test_unknown_columns_are_ignored(admin_client: Client) -> None:
    choose(admin_client, "password", "oauth2_token", "phone")
    assert shown(admin_client) == ["customer", "phone"]
    assert Preferences.objects.get().columns == ["phone"]


def test_all_columns_together_add_no_queries_for_more_accounts(admin_client: Client, make: Make) -> None:
    choose(admin_client, *COLUMNS)
    costs = []
    for _ in range(2):
        for _each in range(3):
            make(State.CREATED)
        admin_client.get(LIST)
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(LIST)
        costs.append(len(queries))
    assert costs[0] == costs[1]
