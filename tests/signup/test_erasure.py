"""Erasing an account leaves nothing of its dossier: in no table, no export, and no event."""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from provisioning import services
from provisioning.attribution import NAMES
from provisioning.models import Account, Attempt, Event
from signup import legal
from signup.models import Agreement, Brand
from tests.provisioning.admin.conftest import attempt
from tests.provisioning.admin.test_exports import exported
from tests.provisioning.events.queue import endpoint
from tests.provisioning.values import SIGN_UP
from tests.signup.legal.texts import published

pytestmark = [pytest.mark.database, pytest.mark.django_db]

CANARY = "canary-of-the-dossier"


@pytest.fixture
def account() -> Account:
    """An account whose dossier says the canary everywhere, and of which another system is told."""
    endpoint("https://crm.example.com/", has_personal_fields=True)
    brand = Brand.objects.create(name="Alder")
    values = dict.fromkeys(("organization_name", "first_name", "last_name", "username"), CANARY)
    came_from = {name: f"{CANARY}-{name}" for name in NAMES}
    made = services.submit(
        services.prepare(
            SIGN_UP | values | {"email": f"{CANARY}@example.com"},
            uuid.uuid4(),
            partner_account_id=CANARY,
            attribution=came_from,
        )
    )
    legal.record(made, [published(brand, "terms"), published(brand, "marketing")])
    Account.objects.filter(pk=made.pk).update(state=Account.State.REJECTED)
    made.refresh_from_db()
    attempt(
        made,
        Attempt.Outcome.REFUSED,
        sent={"partner_account_id": CANARY},
        refused={"partner_account_id": f"{CANARY} is in use."},
        error_message=f"#/partner_account_id: {CANARY} is in use.",
        answer=f'["{CANARY}"]',
    )
    return made


def everything() -> str:
    """Return the content of every table."""
    with connection.cursor() as cursor:
        rows: list[Any] = []
        for table in connection.introspection.table_names():
            if not table.startswith("account_search"):  # Without content: only a digest of words.
                cursor.execute(f'SELECT * FROM "{table}"')
                rows += cursor.fetchall()
    return str(rows)


def all_exports(client: Client) -> str:
    return "".join(exported(client, kind) for kind in ("csv", "json"))


def test_nothing_is_left_of_an_erased_dossier(admin_client: Client, admin_user: Any, account: Account) -> None:
    services.correct(account, {"partner_account_id": f"{CANARY}-2"}, by=admin_user.pk)
    exported(admin_client, "csv", utm_source=f"{CANARY}-utm_source")
    account.refresh_from_db()
    assert Event.objects.exists()
    assert CANARY in everything()
    assert CANARY in all_exports(admin_client)

    services.erase(account)

    assert CANARY not in everything()
    assert CANARY not in all_exports(admin_client)
    assert CANARY not in admin_client.get(f"/admin/provisioning/account/{account.pk}/change/").content.decode()
    assert CANARY not in admin_client.get("/admin/provisioning/auditentry/").content.decode()


def test_what_was_agreed_to_and_when_is_kept(account: Account) -> None:
    before = list(Agreement.objects.values("text__kind", "text__version", "at"))

    services.erase(account)

    assert list(Agreement.objects.values("text__kind", "text__version", "at")) == before
    assert len(before) == 2
