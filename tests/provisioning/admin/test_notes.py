"""Staff write notes on an account for their colleagues."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning import services
from provisioning.audit import MASKED
from provisioning.models import AuditEntry
from tests.provisioning.admin.conftest import Make, State, page_of, told

AUDIT = "/admin/provisioning/auditentry/"
TEXT = "Called back. <b>Ana</b> wants\nanother name."


def add(client: Client, account: Any, note: str = TEXT) -> Any:
    return client.post(reverse("admin:provisioning_account_note", args=[account.pk]), {"note": note}, follow=True)


def test_colleagues_read_a_note_in_the_timeline_with_its_author(as_role: Callable[[str], Client], make: Make) -> None:
    account = make(State.HELD)
    assert "The note was added." in told(add(as_role("Operator"), account))
    page = as_role("Viewer").get(page_of(account)).content.decode()
    assert "Note added by operator-ana." in page
    assert "<blockquote>Called back. &lt;b&gt;Ana&lt;/b&gt; wants\nanother name.</blockquote>" in page


def test_a_note_is_in_the_audit_trail_and_its_export(admin_client: Client, make: Make) -> None:
    add(admin_client, make(State.HELD), "Called back")
    export: Any = admin_client.get(f"{AUDIT}export.csv")
    assert "Called back" in admin_client.get(AUDIT).content.decode()
    assert '"Note added","","Called back"' in b"".join(export.streaming_content).decode()


@pytest.mark.parametrize("text", ["", "  \n", "x" * 2001])
def test_an_empty_or_endless_note_is_refused_with_the_reason(admin_client: Client, make: Make, text: str) -> None:
    assert "No note was added." in told(add(admin_client, make(State.HELD), text))
    assert not AuditEntry.objects.exists()


def test_erasing_an_account_erases_its_notes(admin_client: Client, make: Make) -> None:
    account = make(State.CREATED)
    add(admin_client, account)
    services.erase(account)
    assert AuditEntry.objects.get().note == MASKED


def test_an_erased_account_takes_no_notes(admin_client: Client, make: Make) -> None:
    account = make(State.CREATED)
    services.erase(account)
    assert "the account was erased" in told(add(admin_client, account))
    assert "Add note" not in admin_client.get(page_of(account)).content.decode()
    assert not AuditEntry.objects.filter(what="Note added").exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time.")
def test_an_erasure_waits_for_a_note_that_is_being_added(admin_client: Client, make: Make) -> None:
    account = make(State.CREATED)
    with CaptureQueriesContext(connection) as captured:
        add(admin_client, account)
    queries = [query["sql"] for query in captured]
    locked = next(
        number
        for number, sql in enumerate(queries)
        if 'FROM "provisioning_account"' in sql and sql.endswith("FOR UPDATE")
    )
    assert 'INSERT INTO "provisioning_auditentry"' in " ".join(queries[locked:])


@pytest.mark.parametrize(("role", "may"), [("Viewer", False), ("Operator", True)])
def test_the_form_is_there_for_staff_who_may_write_notes(
    as_role: Callable[[str], Client], make: Make, role: str, may: bool
) -> None:
    page = as_role(role).get(page_of(make(State.HELD))).content.decode()
    assert ("Add note" in page) == may
