import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from provisioning.admin import exports
from provisioning.admin.exports import as_csv
from provisioning.models import Attempt, AuditEntry
from tests.pgbouncer import PgBouncer
from tests.provisioning.admin.conftest import PASSWORD, ROLES, TOKEN, Make, State, attempt, page_of

AsRole = Callable[[str], Client]
EXPORT = "/admin/provisioning/account/export."


def exported(client: Client, kind: str, **query: str) -> str:
    response: Any = client.get(EXPORT + kind, query)
    assert response.streaming
    return b"".join(response.streaming_content).decode()


def csv_rows(client: Client, **query: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(client, "csv", **query).removeprefix("\ufeff"))))


def test_both_formats_have_the_accounts_of_the_filtered_list(admin_client: Client, make: Make) -> None:
    wanted = [make(State.CREATED, country_code="CA"), make(State.CREATED, country_code="CA")]
    make(State.REJECTED, country_code="CA")
    make(State.CREATED)
    query = {"state__exact": "created", "country_code": "CA", "q": "alder"}
    in_words, values = csv_rows(admin_client, **query), json.loads(exported(admin_client, "json", **query))
    expected = {(account.username, account.account_id) for account in wanted}
    assert {(row["Username"], row["Account ID"]) for row in in_words} == expected
    assert {(row["username"], row["account_id"]) for row in values} == expected


def test_all_pages_of_the_list_are_exported(admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.admin.accounts.AccountAdmin.list_per_page", 2)
    for _ in range(5):
        make(State.QUEUED)
    assert len(csv_rows(admin_client)) == 5


def test_rows_are_in_the_order_of_the_list_for_any_batch_size(
    admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK", 2)
    made = [make(State.QUEUED).username for _ in range(5)]

    assert [row["Username"] for row in csv_rows(admin_client)] == made[::-1]


@pytest.mark.parametrize("path", [f"{EXPORT}csv", f"{EXPORT}json", "/admin/provisioning/auditentry/export.csv"])
def test_an_export_needs_no_extra_database_connection(
    pgbouncer: PgBouncer, admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Behind pgbouncer, somebody else gets the connection between two statements."""
    monkeypatch.setattr(exports, "CHUNK", 2)
    for _ in range(5):
        AuditEntry.objects.create(account=make(State.QUEUED), what="Approved")
    response: Any = admin_client.get(path)
    lines = iter(response.streaming_content)
    begun = [next(lines), next(lines)]

    with somebody_else():
        text = b"".join([*begun, *lines]).decode()

    assert text.count("Alder Bakery") == 5


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be in a transaction, on the connection that was used last."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1")
        yield
    other.close()


def test_an_empty_list_is_a_valid_file(admin_client: Client) -> None:
    assert csv_rows(admin_client) == []
    assert json.loads(exported(admin_client, "json")) == []


def cell(value: object) -> str:
    """Return what a spreadsheet reads for a value."""
    (row,) = list(csv.reader(list(as_csv([[value]], ["header"]))[1:]))
    return row[0]


FORMULAS = ["=1+1", "+1+cmd|' /C calc'!A0", "-1", "-1-800", "@SUM(A1)", "\t1", "＝1", "=HYPERLINK(1)", "+A1", "+"]  # noqa: RUF001


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_starts_with_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_a_tab_at_the_beginning_and_what_follows_it_are_both_taken_as_text() -> None:
    assert cell("\t =1") == "'\t '=1"


@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n", " a\nb;"])
def test_no_formula_starts_after_what_may_separate_cells(separator: str) -> None:
    assert cell(f"Alder{separator}=cmd|' /C calc'!A0;") == f"Alder{separator}'=cmd|' /C calc'!A0;"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("text", ['x;"=1+1;y', 'a;"=HYPERLINK(1)', 'a;""" ""+1', 'a;"', 'a\t"@x', 'a;\n"-1', '";"=1'])
def test_no_field_is_a_formula_wherever_a_spreadsheet_splits(text: str, delimiter: str) -> None:
    exported = "".join(as_csv([["reference", text, "="]], ["reference", "name", "sign"]))
    rows = csv.reader(exported.splitlines(keepends=True), delimiter=delimiter)

    assert not [field for row in rows for field in row if field.lstrip(' "')[:1] in set("=+-@")]


@pytest.mark.parametrize("text", ["Alder; Birch", "1-2; a=b", "first\n\nsecond", "a;b", ";"])
def test_a_separator_without_a_formula_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("phone", "dialed"),
    [
        ("+49 30 1234567", "+49 30 1234567"),
        ("+49301234567", "+49301234567"),
        ("+49 (0)30 1234567", "+49 (0)30 1234567"),
        ("+1-800-555-0100", "+1 800 555 0100"),
        ("+1.800.555/0100 ext. 12", "+1 800 555 0100 ext 12"),
        ("(030) 123-4567", "(030) 123-4567"),
        ("030 1234567", "030 1234567"),
    ],
)
def test_a_phone_number_is_exported_unchanged(phone: str, dialed: str) -> None:
    assert cell(phone) == dialed


def test_every_value_is_quoted_so_that_digits_can_be_read_as_text() -> None:
    lines = list(as_csv([("030", None, 'plain, with "quotes" and ü')], "abc"))
    assert lines[1] == '"030","","plain, with ""quotes"" and ü"\r\n'


def test_a_csv_file_has_words_and_local_times(admin_client: Client, make: Make, settings: Settings) -> None:
    settings.TIME_ZONE = "America/New_York"
    rejected = make(State.REJECTED, phone="+49 30 1234567", submitted_at=datetime(2026, 7, 1, 16, tzinfo=UTC))
    attempt(rejected, Attempt.Outcome.REFUSED, refused={"phone": "#/phone: Not a phone number", "email": "Too short"})
    make(State.CLOSED, decline_reason="duplicate", username="declined")

    rows = {row["Username"]: row for row in csv_rows(admin_client)}

    row = rows[rejected.username]
    assert row["State"] == "Rejected"
    assert (row["Country"], row["State or province"]) == ("United States", "Massachusetts")
    assert row["Phone"] == "+49 30 1234567"
    assert row["No marketing by Constant Contact"] == "no"
    assert row["Date of sign-up (America/New_York)"] == "2026-07-01 12:00:00"
    assert row["Refused by Constant Contact"] == "Email address: Too short; Phone: Not a phone number"
    assert rows["declined"]["Decline reason"] == "Has another account or sign-up"
    assert rows["declined"]["Refused by Constant Contact"] == ""


def test_json_lists_refusals_by_property(admin_client: Client, make: Make) -> None:
    corrected, rejected = make(State.CREATED), make(State.REJECTED)
    for account in (corrected, rejected):
        attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "Not a phone number"})
    rows = {row["username"]: row for row in json.loads(exported(admin_client, "json"))}
    assert rows[rejected.username]["refused"] == {"phone": "Not a phone number"}
    assert rows[corrected.username]["refused"] == {}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_no_secret_is_exported(admin_client: Client, make: Make, kind: str) -> None:
    accounts = [make(State.CREATED), make(State.QUEUED)]
    text = exported(admin_client, kind)
    secrets = [
        secret.ciphertext for account in accounts for secret in (account.password, account.oauth2_token) if secret
    ]
    assert not [secret for secret in (PASSWORD, TOKEN, *secrets) if secret in text]


def test_sent_partner_properties_are_exported_as_sent_not_as_configured(admin_client: Client, make: Make) -> None:
    ours, theirs, never_sent = make(State.CREATED), make(State.CREATED), make(State.QUEUED)
    attempt(ours, Attempt.Outcome.NOT_DONE, sent={"billing_locale": "en_US"})
    attempt(ours, sent={"single_billing": True, "managed_site_owner": True, "partner_account_id": "4711"})
    attempt(theirs, sent={"billing_locale": "en_GB", "idp_provider": "alder"})
    attempt(never_sent, Attempt.Outcome.NOT_DONE, sent={"single_billing": True})

    rows = {row["username"]: row for row in json.loads(exported(admin_client, "json"))}
    names = ("single_billing", "managed_site_owner", "billing_locale", "idp_provider", "partner_account_id")
    assert [rows[ours.username][name] for name in names] == [True, True, None, None, "4711"]
    assert [rows[theirs.username][name] for name in names] == [None, None, "en_GB", "alder", None]
    assert [rows[never_sent.username][name] for name in names] == [None] * 5
    assert [row["Username"] for row in csv_rows(admin_client, show="paid")] == [ours.username]

    page = admin_client.get(page_of(ours)).content.decode()
    assert "You pay: yes · You can log in: yes · Partner account ID: 4711" in page


def test_a_browser_saves_the_file_and_keeps_no_copy(admin_client: Client) -> None:
    headers = admin_client.get(EXPORT + "csv").headers
    assert headers["Content-Disposition"].startswith('attachment; filename="accounts-')
    assert "no-store" in headers["Cache-Control"]


@pytest.mark.parametrize("role", ROLES)
def test_exporting_is_for_operators_and_administrators(as_role: AsRole, make: Make, role: str) -> None:
    make(State.QUEUED)
    may, client = role in {"Operator", "Administrator"}, as_role(role)
    assert client.get(EXPORT + "csv").status_code == (200 if may else 403)
    if role:
        offered = 'href="/admin/provisioning/account/export.csv?q=alder"'
        page = client.get("/admin/provisioning/account/", {"q": "alder"}).content.decode()
        assert (offered in page) == may


@pytest.mark.parametrize(("path", "status"), [("pdf", 404), ("csv?submitted_at__year=x", 302)])
def test_an_invalid_filter_is_not_a_server_error(admin_client: Client, path: str, status: int) -> None:
    assert admin_client.get(EXPORT + path).status_code == status
