"""The audit trail: everything that staff and customers did, with old and new values, and no secrets."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning import services
from provisioning.audit import MASKED, AuditEntry
from provisioning.models import Account, Attempt
from tests.provisioning.admin.conftest import PASSWORD, Make, State, attempt, page_of
from tests.provisioning.admin.test_action_views import BY_NAME, act

LIST = "/admin/provisioning/auditentry/"
ACCOUNTS = "/admin/provisioning/account/"
NEW_PASSWORD = "another-canary-9"


@pytest.fixture
def corrected(make: Make) -> Account:
    """Return an account that its customer has corrected."""
    account = make(State.REJECTED)
    attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "Bad", "password": "Weak"})
    values = {"phone": "555 010 0199", "gdpr_opt_out": True, "password": NEW_PASSWORD}
    services.correct(Account.objects.get(pk=account.pk), values)
    return account


def text_of(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    content: bytes = answer.getvalue()
    return content.decode()


@pytest.mark.parametrize("where", ["page", "trail", "export"])
def test_a_customers_correction_is_recorded_with_old_and_new_values(
    admin_client: Client, corrected: Account, where: str
) -> None:
    page = text_of(admin_client, {"page": page_of(corrected), "trail": LIST, "export": f"{LIST}export.csv"}[where])
    assert "the customer" in page
    for words in ("Phone: 555 0100 → 555 010 0199", "no → yes", f"Password: {MASKED}"):
        assert words in page
    for secret in (PASSWORD, NEW_PASSWORD):
        assert secret not in page


def test_a_change_before_sending_is_recorded_too(make: Make) -> None:
    services.change(make(State.QUEUED), {"first_name": "Bea"})
    entry = AuditEntry.objects.get()
    assert (entry.what, entry.who, entry.changes) == ("Changed", "the customer", {"first_name": ["Ana", "Bea"]})


def test_an_action_is_recorded_with_the_member_of_staff(admin_client: Client, make: Make) -> None:
    account = make(State.HELD)
    act(admin_client, BY_NAME["approve"], account)
    assert "Approved by dora." in text_of(admin_client, page_of(account))
    assert "dora" in text_of(admin_client, LIST)


def test_an_action_without_effect_is_not_recorded(admin_client: Client, make: Make) -> None:
    act(admin_client, BY_NAME["approve"], make(State.CREATED))
    assert not AuditEntry.objects.exists()


def test_erasing_masks_the_values_and_keeps_the_record(corrected: Account) -> None:
    services.erase(Account.objects.get(pk=corrected.pk))
    entry = AuditEntry.objects.get()
    assert (entry.what, set(entry.changes)) == ("Corrected", {"phone", "gdpr_opt_out", "password"})
    assert {value for values in entry.changes.values() for value in values} == {MASKED}


@pytest.mark.parametrize(
    ("export", "what", "detail"),
    [
        (f"{ACCOUNTS}export.csv?state__exact=held", "Accounts exported", "CSV, state__exact=held"),
        (f"{ACCOUNTS}export.json?q=ana@example.com", "Accounts exported", "JSON, after a search"),
        (f"{LIST}export.csv", "Audit trail exported", ""),
    ],
)
def test_an_export_is_recorded_without_the_search_terms(
    admin_client: Client, make: Make, export: str, what: str, detail: str
) -> None:
    make(State.HELD)
    text_of(admin_client, export)
    entry = AuditEntry.objects.get()
    assert (entry.what, entry.who, entry.account, entry.detail) == (what, "dora", None, detail)
    assert "Many accounts" in text_of(admin_client, LIST)


@pytest.mark.parametrize(
    ("query", "shown"), [({"what": "Corrected"}, 1), ({"what": "Approved"}, 0), ({"q": "alder0"}, 1), ({"q": "x"}, 0)]
)
def test_it_can_be_filtered_and_searched(
    admin_client: Client, corrected: Account, query: dict[str, str], shown: int
) -> None:
    assert admin_client.get(LIST, query).context["cl"].result_count == shown
    assert text_of(admin_client, f"{LIST}export.csv", **query).count("the customer") == shown


def test_the_number_of_queries_does_not_grow_with_the_entries(admin_client: Client, make: Make) -> None:
    admin_client.get(LIST)
    costs = []
    for _ in range(2):
        for account in [make() for _ in range(5)]:
            AuditEntry.objects.create(account=account, what="Approved")
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(LIST)
        costs.append(len(queries))
    assert costs[0] == costs[1]
