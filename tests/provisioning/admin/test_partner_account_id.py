"""Staff see, export and correct the partner's own ID for an account."""

import json

import pytest
from django.test import Client

from provisioning.models import Account, Attempt
from tests.provisioning.admin.conftest import Make, State, attempt, page_of
from tests.provisioning.admin.test_columns import choose
from tests.provisioning.admin.test_exports import csv_rows, exported

LIST = "/admin/provisioning/account/"


@pytest.fixture
def account(make: Make) -> Account:
    return make(State.QUEUED, partner_account_id="CRM-4711")


def test_the_accounts_page_and_the_list_show_it(admin_client: Client, account: Account) -> None:
    choose(admin_client, "partner_account_id")

    for page in (page_of(account), LIST, f"{LIST}?q=crm-47"):
        assert "CRM-4711" in admin_client.get(page).content.decode()


def test_it_is_exported_even_before_it_is_sent(admin_client: Client, account: Account, make: Make) -> None:
    make(State.QUEUED)

    assert [row["Partner account ID"] for row in csv_rows(admin_client)] == ["", "CRM-4711"]
    assert [row["partner_account_id"] for row in json.loads(exported(admin_client, "json"))] == [None, "CRM-4711"]


def test_what_was_sent_is_exported_even_if_it_was_corrected_since(admin_client: Client, account: Account) -> None:
    attempt(account, sent={"partner_account_id": "CRM-1"})

    assert csv_rows(admin_client)[0]["Partner account ID"] == "CRM-1"


def test_staff_correct_a_refused_one(admin_client: Client, make: Make) -> None:
    account = make(State.REJECTED, partner_account_id="CRM-4711")
    attempt(account, Attempt.Outcome.REFUSED, refused={"partner_account_id": "Already in use."})
    page = f"{LIST}{account.pk}/correct/"
    form = admin_client.get(page).context["form"]
    assert list(form.fields)[1] == "partner_account_id"

    typed = {name: form[name].value() for name in form.fields if form[name].value()}
    admin_client.post(page, typed | {"partner_account_id": "CRM-4712"})

    account.refresh_from_db()
    assert (account.state, account.partner_account_id) == (State.QUEUED, "CRM-4712")


def test_accounts_without_one_are_corrected_without_it(admin_client: Client, make: Make) -> None:
    account = make(State.REJECTED)
    attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "Not a phone number."})

    assert "partner_account_id" not in admin_client.get(f"{LIST}{account.pk}/correct/").context["form"].fields
