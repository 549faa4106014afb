"""`insert` stores what the ORM's `save` stores, and says whether there was a conflict."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.forms import model_to_dict
from django.utils import timezone

from provisioning import services
from provisioning.models import Account
from provisioning.services.insertion import insert
from tests.provisioning.values import SIGN_UP

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def prepared(**values: Any) -> Account:
    account = services.prepare(SIGN_UP | values, uuid.uuid4(), host="signup.example.com", language="fr")
    account.state, account.due_at = Account.State.QUEUED, Now()
    return account


def test_it_stores_the_same_row_as_save() -> None:
    inserted, saved = prepared(username="inserted"), prepared(username="saved")

    assert insert(inserted)
    saved.save(force_insert=True)

    own = {"id", "reference", "submission", "username", "password"}
    rows = [
        {name: value for name, value in row.items() if name not in own and not name.endswith("_at")}
        for row in Account.objects.order_by("pk").values()
    ]
    assert rows[0] == rows[1]
    stored = Account.objects.get(username="inserted")
    assert stored.password.open() == SIGN_UP["password"]
    assert model_to_dict(stored) == model_to_dict(inserted)


def test_times_are_those_of_the_databases_clock() -> None:
    account = prepared()
    insert(account)

    assert account.due_at is not None
    for at in (account.due_at, account.submitted_at, account.state_changed_at):
        assert abs(at - timezone.now()) < timedelta(seconds=30)


def test_a_held_account_is_never_due() -> None:
    account = prepared()
    account.state, account.due_at = Account.State.HELD, None
    insert(account)

    assert Account.objects.get().due_at is None


def test_a_value_takes_precedence_over_the_databases_default() -> None:
    account = prepared()
    account.submitted_at = at = timezone.now() - timedelta(days=9)
    insert(account)

    assert Account.objects.get().submitted_at == at


def test_a_conflict_stores_nothing_and_leaves_the_transaction_usable() -> None:
    assert insert(prepared())

    assert not insert(prepared(username=SIGN_UP["username"].upper()))
    assert Account.objects.count() == 1
