from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning import rules
from provisioning.audit import AuditEntry
from provisioning.models import Account, Attempt
from provisioning.sealed import Sealed
from tests.provisioning.admin.conftest import PASSWORD, ROLES, Make, State, attempt, page_of, told
from tests.provisioning.cases import MEANT, PASTED

pytestmark = pytest.mark.once

AsRole = Callable[[str], Client]


def correct(client: Client, account: Account, **values: str) -> Any:
    """Send the correction page like a browser: every field unchanged, except for `values`."""
    fields = {name: getattr(account, name) for name in rules.SHOWN_PROPERTIES if name != "gdpr_opt_out"}
    seen = {"seen": account.state_changed_at.isoformat()}
    return client.post(
        reverse("admin:provisioning_account_correct", args=[account.pk]), fields | seen | values, follow=True
    )


@pytest.fixture
def rejected(make: Make) -> Account:
    account = make(State.REJECTED)
    attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "Not a valid phone number"})
    return account


def test_the_refused_value_comes_first_with_the_reason(admin_client: Client, rejected: Account) -> None:
    form = admin_client.get(reverse("admin:provisioning_account_correct", args=[rejected.pk])).context["form"]
    field, reason = form.asked()[0]
    assert (field.name, reason) == ("phone", "Not a valid phone number")


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ({"phone": "Too short"}, "Constant Contact: Too short"),
        ({"password": "Too weak"}, "Constant Contact refused the password: Too weak"),
        ({}, "Constant Contact didn't name a field"),
    ],
)
def test_every_refusal_is_shown(admin_client: Client, make: Make, refused: dict[str, str], words: str) -> None:
    account = make(State.REJECTED)
    attempt(account, Attempt.Outcome.REFUSED, refused=refused)
    page = admin_client.get(reverse("admin:provisioning_account_correct", args=[account.pk])).content.decode()
    assert words in page
    assert ("Only the customer can choose another password" in page) == ("password" in refused)


def test_fields_have_readable_names_and_hints(admin_client: Client, rejected: Account, settings: Any) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    page = admin_client.get(reverse("admin:provisioning_account_correct", args=[rejected.pk])).content.decode()
    for words in (">Country<", ">State or province<", "No marketing by Constant Contact", "At least 6 characters"):
        assert words in page


def test_a_correction_changes_what_was_entered_and_sends_again(admin_client: Client, rejected: Account) -> None:
    response = correct(admin_client, rejected, phone="555 010 0100")
    assert "Corrected and queued for retry" in told(response)
    rejected.refresh_from_db()
    assert (rejected.state, rejected.phone) == (State.QUEUED, "555 010 0100")
    assert rejected.password.open() == PASSWORD
    entry = AuditEntry.objects.get()
    assert (entry.what, entry.who, entry.changes) == ("Corrected", "dora", {"phone": ["555 0100", "555 010 0100"]})


def test_pasted_values_are_stored_as_they_are_meant(admin_client: Client, rejected: Account) -> None:
    correct(admin_client, rejected, **PASTED)

    assert Account.objects.values(*MEANT).get() == MEANT


def test_a_refused_value_is_not_sent_again_unchanged(admin_client: Client, rejected: Account) -> None:
    page = correct(admin_client, rejected).content.decode()
    assert "Nothing has changed, so Constant Contact would refuse it again." in page
    rejected.refresh_from_db()
    assert rejected.state == State.REJECTED
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("refused", "offered"),
    [
        ({}, {"correct", "retry"}),
        ({"phone": "Bad"}, {"correct"}),
        ({"phone": "Bad", "password": "Weak"}, {"correct"}),
        ({"password": "Weak"}, set()),
    ],
)
def test_only_actions_that_can_help_are_offered(
    admin_client: Client, make: Make, refused: dict[str, str], offered: set[str]
) -> None:
    account = make(State.REJECTED)
    attempt(account, Attempt.Outcome.REFUSED, refused=refused)
    page = admin_client.get(page_of(account)).content.decode()
    links = {name: reverse(f"admin:provisioning_account_{name}", args=[account.pk]) for name in ("correct", "retry")}
    assert {name for name, link in links.items() if link in page} == offered
    assert ("Only the customer can choose another one" in page) == ("password" in refused)
    told(admin_client.post(links["retry"], {"seen": account.state_changed_at.isoformat()}, follow=True))
    account.refresh_from_db()
    assert (account.state == State.QUEUED) == ("retry" in offered)


def test_a_new_country_drops_a_state_of_another_country(admin_client: Client, rejected: Account) -> None:
    correct(admin_client, rejected, country_code="DE")
    rejected.refresh_from_db()
    assert (rejected.country_code, rejected.state_code) == ("DE", "")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("phone", "1", "at least 5 digits"),
        ("organization_name", "", "Enter the name of your organization."),
        ("username", "Not Allowed", "lowercase letters"),
        ("username", "held-already", "This username is taken."),
        ("country_code", "CA", "Choose a province or territory of Canada."),
    ],
)
def test_an_invalid_value_is_reported_at_its_field_and_nothing_is_lost(
    admin_client: Client, make: Make, rejected: Account, name: str, value: str, words: str
) -> None:
    make(State.QUEUED, username="held-already")
    response = correct(admin_client, rejected, first_name="Bea", **{name: value})
    assert response.status_code == 200
    assert words in " ".join(message for errors in response.context["form"].errors.values() for message in errors)
    assert 'value="Bea"' in response.content.decode()
    rejected.refresh_from_db()
    assert rejected.state == State.REJECTED


def test_a_correction_after_another_correction_does_nothing(admin_client: Client, rejected: Account) -> None:
    seen = Account.objects.get(pk=rejected.pk)
    correct(admin_client, rejected, phone="555 010 0100")
    assert "Nothing was done" in told(correct(admin_client, seen, phone="555 010 9999"))
    rejected.refresh_from_db()
    assert rejected.phone == "555 010 0100"


def test_a_correction_after_a_second_refusal_does_nothing(admin_client: Client, rejected: Account) -> None:
    response = correct(admin_client, rejected, phone="555 010 0100", seen="2001-01-01T00:00:00+00:00")
    assert "Nothing was done" in told(response)


@pytest.mark.parametrize("state", [state for state in State if state != State.REJECTED])
def test_only_a_rejected_account_can_be_corrected(admin_client: Client, make: Make, state: str) -> None:
    account = make(state)
    assert "Nothing was done" in told(correct(admin_client, account, phone="555 010 0100"))
    account.refresh_from_db()
    assert (account.state, account.phone) == (state, "555 0100")


@pytest.mark.parametrize("role", ROLES)
def test_correcting_is_for_operators_and_administrators(as_role: AsRole, rejected: Account, role: str) -> None:
    may = role in {"Operator", "Administrator"}
    client = as_role(role)
    assert client.get(reverse("admin:provisioning_account_correct", args=[rejected.pk])).status_code == (
        200 if may else 403
    )
    correct(client, rejected, phone="555 010 0100")
    rejected.refresh_from_db()
    assert (rejected.state == State.QUEUED) == may


def test_the_password_is_neither_shown_nor_asked_for(admin_client: Client, rejected: Account) -> None:
    page = admin_client.get(reverse("admin:provisioning_account_correct", args=[rejected.pk])).content.decode()
    assert 'name="password"' not in page
    for secret in (PASSWORD, Sealed(rejected.password.ciphertext).ciphertext):
        assert secret not in page
