"""Staff decline one, several, or all held accounts, with a reason from a list or their own words."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.models import Account
from tests.provisioning.admin.conftest import Make, State, page_of
from tests.provisioning.admin.test_action_views import BY_NAME, act, act_in_bulk
from tests.provisioning.admin.test_held import press

pytestmark = pytest.mark.once


def send(client: Client, where: str, **fields: str) -> Any:
    account = Account.objects.get()
    match where:
        case "one":
            return act(client, BY_NAME["decline"], account, **fields)
        case "some":
            return act_in_bulk(client, BY_NAME["decline"], account, **fields)
    return press(client, "decline", **fields)


@pytest.mark.parametrize("where", ["one", "some", "all"])
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"reason": ""}, "This field is required."),
        ({"reason": "whim"}, "Select a valid choice."),
        ({"reason": "other", "note": " "}, "Write the reason here, or choose another one above."),
        ({"reason": "other", "note": "x" * 501}, "at most 500 characters"),
    ],
)
def test_declining_needs_a_reason(
    admin_client: Client, make: Make, where: str, fields: dict[str, str], problem: str
) -> None:
    make(State.HELD)
    page = send(admin_client, where, **fields).content.decode()
    assert problem in page
    assert "Please correct the errors below." in page
    assert Account.objects.get().state == State.HELD


@pytest.mark.parametrize("where", ["one", "some", "all"])
def test_the_reason_is_stored_with_the_account_and_shown(admin_client: Client, make: Make, where: str) -> None:
    make(State.HELD)
    send(admin_client, where, reason="other", note="We only serve bakeries.")
    account = Account.objects.get()
    assert (account.state, account.decline_reason) == (State.CLOSED, "other")
    assert account.decline_note == "We only serve bakeries."
    assert "We only serve bakeries." in admin_client.get(page_of(account)).content.decode()


def test_staff_see_the_customers_language(admin_client: Client, make: Make) -> None:
    account = make(State.HELD, language="fr")
    url = reverse("admin:provisioning_account_decline", args=[account.pk])
    assert "reads French" in admin_client.get(url).content.decode()


def test_approving_needs_no_reason(admin_client: Client, make: Make) -> None:
    make(State.HELD)
    press(admin_client, "approve", reason="", note="")
    assert Account.objects.get().state == State.QUEUED
