"""Erasing and retention: no personal data is left, and statistics are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from provisioning import services
from provisioning.audit import MASKED, AuditEntry
from provisioning.models import Account, Attempt, IllegalMove
from provisioning.sealed import NOTHING
from tests.provisioning.admin.conftest import Make, State, admin_client, attempt, make, page_of, quick_pages

__all__ = ["admin_client", "make", "quick_pages"]

PERSONAL = {
    "organization_name": "Zanzibar Canary",
    "website": "https://zanzibar.example.com",
    "first_name": "Zora",
    "last_name": "Zanzibar",
    "email": "zora@zanzibar.example.com",
    "phone": "555 0199",
    "username": "zanzibar",
    "state_code": "ZZ",
}


@pytest.fixture
def told(make: Make, admin_client: Client) -> Callable[[State], Account]:
    """Return a function that creates an account full of personal data, which its evidence and log entries repeat."""

    def account(state: State) -> Account:
        made = make(state, **PERSONAL, decline_note="Dear Zanzibar Canary")
        attempt(
            made,
            Attempt.Outcome.REFUSED,
            status=400,
            error_key="json.regex.invalid",
            error_message="#/email: zora@zanzibar.example.com is wrong",
            refused={"email": "zora@zanzibar.example.com is wrong"},
            answer='{"email": "zora@zanzibar.example.com"}',
        )
        AuditEntry.objects.create(account=made, what="Note added", note="Zora Zanzibar called")
        AuditEntry.objects.create(
            account=made, what="Corrected", changes={"email": ["old@zanzibar.example.com", "zora@zanzibar.example.com"]}
        )
        return made

    return account


def everything() -> str:
    """Return the whole database as text."""
    with connection.cursor() as cursor:
        rows = []
        for table in ("provisioning_account", "provisioning_attempt", "provisioning_auditentry"):
            cursor.execute(f"SELECT * FROM {table}")
            rows += cursor.fetchall()
    return str(rows)


@pytest.mark.parametrize("state", [state for state in State if state != State.SENDING])
def test_no_personal_data_is_left_and_the_statistics_are(told: Callable[..., Account], state: State) -> None:
    account = told(state)
    account_id = account.account_id
    services.erase(account)
    assert not [value for value in PERSONAL.values() if value in everything()]
    account.refresh_from_db()
    assert account.state == (State.CREATED if state == State.CREATED else State.CLOSED)
    assert (account.password, account.oauth2_token) == (NOTHING, NOTHING)
    assert (account.country_code, account.account_id) == ("US", account_id)
    kept = account.attempts.get()
    assert (kept.outcome, kept.status, kept.error_key, kept.refused) == (
        "refused",
        400,
        "json.regex.invalid",
        {"email": ""},
    )
    note, entry = AuditEntry.objects.order_by("pk")
    assert note.note == MASKED
    assert (entry.what, entry.changes) == ("Corrected", {"email": [MASKED, MASKED]})


def test_an_account_being_sent_is_not_erased(told: Callable[..., Account]) -> None:
    with pytest.raises(IllegalMove):
        services.erase(told(State.SENDING))
    assert "Zora" in everything()


def test_an_account_is_erased_once(told: Callable[..., Account]) -> None:
    account = told(State.CLOSED)
    services.erase(account)
    account.refresh_from_db()
    with pytest.raises(IllegalMove):
        services.erase(account)


def test_erased_accounts_free_their_usernames(told: Callable[..., Account], make: Make) -> None:
    services.erase(told(State.CREATED))
    make(State.QUEUED, username="zanzibar")


@pytest.mark.parametrize(
    ("outcomes", "may_exist"),
    [
        (["unknown"], True),
        ([""], True),
        (["created"], True),
        (["unknown", "others"], False),
        (["others", "unknown"], True),
        (["refused"], False),
        ([], False),
    ],
)
def test_whether_an_account_may_exist_is_known_after_it_was_erased(
    make: Make, outcomes: list[str], may_exist: bool
) -> None:
    account = make(State.QUEUED)
    for outcome in outcomes:
        kind = Attempt.Kind.LOOK_UP if outcome == "others" else Attempt.Kind.CREATE
        attempt(account, outcome, kind) if outcome else account.attempts.create(kind=kind, username=account.username)
    assert services.may_exist(account) == may_exist
    services.erase(account)
    account.refresh_from_db()
    assert services.may_exist(account) == may_exist


def test_the_page_of_an_erased_account_still_tells_what_happened(
    admin_client: Client, told: Callable[..., Account]
) -> None:
    account = told(State.CREATED)
    services.erase(account)
    page = admin_client.get(page_of(account)).content.decode()
    assert "Personal data was erased." in page
    assert "Constant Contact refused what the customer entered." in page
    assert "Zora" not in page


def test_the_record_of_erasing_does_not_repeat_the_name(admin_client: Client, told: Callable[..., Account]) -> None:
    account = told(State.CLOSED)
    seen = account.state_changed_at.isoformat()
    admin_client.post(f"/admin/provisioning/account/{account.pk}/erase/", {"seen": seen, "confirmed": "yes"})
    assert AuditEntry.objects.filter(what="Personal data erased").exists()
    assert not [value for value in PERSONAL.values() if value in everything()]


@pytest.mark.parametrize("days", [0, 30])
def test_old_accounts_are_erased_automatically_after_the_set_time(make: Make, settings: Any, days: int) -> None:
    settings.RETENTION_DAYS = days
    now = timezone.now()
    old = make(State.CREATED, submitted_at=now - timedelta(days=31))
    make(State.CREATED, submitted_at=now - timedelta(days=29))
    make(State.SENDING, submitted_at=now - timedelta(days=31))
    assert services.purge() == (1 if days else 0)
    assert services.purge() == 0
    assert [account.pk for account in Account.objects.filter(erased_at__isnull=False)] == ([old.pk] if days else [])


@pytest.mark.parametrize("state", State)
def test_retention_covers_every_state_even_without_a_worker(make: Make, settings: Any, state: State) -> None:
    settings.RETENTION_DAYS = 30
    make(state, submitted_at=timezone.now() - timedelta(days=31), due_at=timezone.now() - timedelta(days=1))

    assert services.purge() == 1

    account = Account.objects.get()
    assert account.erased_at
    assert account.state in Account.FINAL
    assert account.password == NOTHING


@pytest.mark.parametrize("state", [State.SENDING, State.UNCONFIRMED])
def test_retention_warns_that_an_account_may_still_exist(
    make: Make, settings: Any, caplog: pytest.LogCaptureFixture, state: State
) -> None:
    settings.RETENTION_DAYS = 30
    account = make(state, submitted_at=timezone.now() - timedelta(days=31), due_at=timezone.now() - timedelta(days=1))
    Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=account.username)

    services.purge()

    assert f"reference={account.reference} may exist at Constant Contact" in caplog.text


def test_a_late_answer_does_not_bring_the_personal_data_back(told: Callable[..., Account]) -> None:
    account = told(State.UNCONFIRMED)
    late = Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=account.username)
    services.erase(account)

    late.complete(outcome=Attempt.Outcome.CREATED, answer='{"email": "zora@zanzibar.example.com"}')

    assert not [value for value in PERSONAL.values() if value in everything()]
