"""Staff see where a sign-up came from, and filter and export by it."""

import json
from urllib.parse import quote_plus

import pytest
from django.test import Client

from provisioning import services
from provisioning.attribution import NAMES
from provisioning.models import Account, AuditEntry
from tests.provisioning.admin.conftest import Make, State, page_of
from tests.provisioning.admin.test_exports import csv_rows, exported

LIST = "/admin/provisioning/account/"
CAME_FROM = {name: f"{name} & <b>{number}</b>" for number, name in enumerate(NAMES)}


@pytest.fixture
def account(make: Make) -> Account:
    make(State.QUEUED)
    return make(State.CREATED, attribution=CAME_FROM)


def shown(client: Client, **query: str) -> list[str]:
    return [row.username for row in client.get(LIST, query).context["cl"].result_list]


def test_each_value_on_an_accounts_page_leads_to_all_accounts_with_it(admin_client: Client, account: Account) -> None:
    page = admin_client.get(page_of(account)).content.decode()

    assert "Where it came from" in page
    for name, value in CAME_FROM.items():
        assert f'href="{LIST}?{name}={quote_plus(value)}"' in page
        assert shown(admin_client, **{name: value}) == [account.username]
        assert shown(admin_client, **{name: "other"}) == []


def test_an_account_of_which_nothing_is_known_has_no_such_section(admin_client: Client, make: Make) -> None:
    assert "Where it came from" not in admin_client.get(page_of(make())).content.decode()


def test_staff_choose_among_the_sources_and_campaigns_of_recent_sign_ups(admin_client: Client, make: Make) -> None:
    for number in range(3):
        make(attribution={"utm_source": f"source-{number}", "utm_campaign": "spring", "utm_term": "bread"})

    page = admin_client.get(LIST).content.decode()

    for found in ("?utm_source=source-0", "?utm_source=source-2", "?utm_campaign=spring"):
        assert found in page
    assert "utm_term" not in page


def test_a_filter_that_is_not_offered_can_be_seen_and_removed(admin_client: Client, account: Account) -> None:
    page = admin_client.get(LIST, {"utm_term": "canary-term"}).content.decode()

    assert "Search term: <strong>canary-term</strong>" in page


@pytest.mark.parametrize("value", ["x" * 9000, "' OR 1=1 --", "\N{ZERO WIDTH SPACE}"])
def test_a_filter_by_anything_else_finds_nothing(admin_client: Client, account: Account, value: str) -> None:
    assert shown(admin_client, utm_source=value) == []


def test_it_is_exported_in_columns_of_its_own(admin_client: Client, account: Account) -> None:
    row = csv_rows(admin_client, utm_source=CAME_FROM["utm_source"])[0]
    assert [row[label] for label in NAMES.values()] == list(CAME_FROM.values())
    rows = json.loads(exported(admin_client, "json"))
    assert [{name: each[name] for name in NAMES} for each in rows] == [CAME_FROM, dict.fromkeys(NAMES)]


def test_an_export_by_it_leaves_nothing_of_it_in_the_audit_trail(admin_client: Client, account: Account) -> None:
    exported(admin_client, "csv", ref="canary-customer", country_code="US")

    assert AuditEntry.objects.get().detail == "CSV, ref, country_code=US"


def test_an_erased_account_has_none(admin_client: Client, account: Account) -> None:
    services.erase(account)

    assert "Where it came from" not in admin_client.get(page_of(account)).content.decode()
