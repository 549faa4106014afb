"""Erasing an account leaves nothing of what was known of the customer: in no table, no export, and no event."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import BinaryField, CharField, Field, ForeignKey, JSONField, Model, QuerySet, TextField
from django.test import Client

from provisioning import services
from provisioning.attribution import NAMES
from provisioning.events import deliveries
from provisioning.models import Account, Attempt, AuditEntry, Delivery, DeliveryAttempt, Event
from provisioning.sealed import NOTHING, Sealed, SealedField
from signup import legal
from signup.api import keys
from signup.models import Agreement, ApiKey, ApiSignup, Brand, Mail, SentMail
from tests.provisioning.admin.conftest import attempt
from tests.provisioning.admin.test_exports import exported
from tests.provisioning.events.queue import endpoint
from tests.provisioning.values import SIGN_UP
from tests.signup.legal.texts import published

pytestmark = [pytest.mark.database, pytest.mark.django_db]

CANARY = "canary-of-the-customer"
KEPT: dict[type[Model], set[str]] = {
    Account: {"country_code", "host", "language", "billing_locale", "account_id"},
    Agreement: set(),
    ApiSignup: set(),
    Attempt: {"error_key", "refused_keys", "sent"},  # Of what was sent, the partner's ID for the customer is masked.
    AuditEntry: {"agent", "what", "detail"},
    Delivery: set(),
    DeliveryAttempt: {"problem"},
    Event: {"host", "data"},
    Mail: {"origin", "problem"},
    SentMail: {"problem"},
}
"""Every model that leads to an account → its columns that outlive an erasure, and say nothing of the person."""
NOT_BY_ACCOUNT = {
    *("signup.Brand", "signup.ApiKey", "signup.LegalText", "signup.StaffIdentity", "signup.Diagnosis"),
    *("signup.Visit", "signup.Burst", "signup.UsedLink"),  # Digests, which are kept for a day.
    *("provisioning.Endpoint", "provisioning.NoticeRule", "provisioning.Incident", "provisioning.Notice"),
    *("provisioning.ListPass", "provisioning.Gateway", "provisioning.Worker"),
    "provisioning.ListEntry",  # By the account ID: see below.
    *("provisioning.StaffSession", "provisioning.Preferences"),
    *("admin.LogEntry", "auth.Permission", "auth.Group", "auth.User", "contenttypes.ContentType"),
    "sessions.Session",  # For an hour: what a login said of the customer. See single_sign_on.proof.
    *("axes.AccessFailureLog", "axes.AccessAttempt", "axes.AccessAttemptExpiration", "axes.AccessLog"),
    "otp_totp.TOTPDevice",
}
"""The other models. They hold nothing of a customer, or not for long, or erasing finds it in another way."""


@pytest.fixture
def account() -> Account:
    """An account with the canary in every value, about which another system gets events."""
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


def path_to_account(model: type[Model]) -> str | None:
    """Return the lookup that leads from a model to an account; None if there is none."""
    if model is Account:
        return "pk"
    for field in model._meta.concrete_fields:
        if isinstance(field, ForeignKey) and (rest := path_to_account(field.related_model)):
            return field.name if rest == "pk" else f"{field.name}__{rest}"
    return None


def texts(model: type[Model]) -> list[Field[Any, Any]]:
    """Return the columns that could hold what a customer entered: not one of a few words that we chose."""
    kinds = (CharField, TextField, JSONField, BinaryField)
    return [field for field in model._meta.concrete_fields if isinstance(field, kinds) and not field.choices]


def rows(model: type[Model], account: Account) -> QuerySet[Any]:
    return model._default_manager.filter(**{path_to_account(model) or "": account.pk})


def canaries(model: type[Model]) -> dict[str, Any]:
    """Return a value for each of the model's texts. Each is short enough for any column, and another one."""

    def fitting(field: Field[Any, Any], text: str) -> Any:
        return {"x": text} if isinstance(field, JSONField) else Sealed(text) if isinstance(field, SealedField) else text

    return {field.name: fitting(field, f"Z{number:x}") for number, field in enumerate(texts(model))}


def all_exports(client: Client) -> str:
    return "".join(exported(client, kind) for kind in ("csv", "json"))


def test_nothing_is_left_of_an_erased_account(admin_client: Client, admin_user: Any, account: Account) -> None:
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


def test_every_model_is_erased_with_the_account_or_named_here() -> None:
    """Name a new model in KEPT if it leads to an account, and fill it in `the next test."""
    by_account = {model for model in apps.get_models() if path_to_account(model)}

    assert by_account == KEPT.keys()
    assert {model._meta.label for model in apps.get_models()} - NOT_BY_ACCOUNT == {m._meta.label for m in by_account}


def test_no_column_of_any_model_outlives_erasure_unless_it_is_named_here(account: Account) -> None:
    """Empty a new column when an account is erased, or add it to KEPT if it says nothing of the customer."""
    key = ApiKey(name="Website", scopes=["create"])
    keys.create(key)
    ApiSignup.objects.create(account=account, key=key)
    AuditEntry.objects.create(account=account, what="Note added")
    Mail.objects.create(account=account, event="received")
    SentMail.objects.create(account=account, event="received")
    deliveries.route()
    DeliveryAttempt.objects.create(delivery=Delivery.objects.all()[0])
    for model in KEPT:
        written = canaries(model)
        if model is Account:
            written |= {"state": "created", "password": NOTHING}
        assert rows(model, account).update(**written) if written else rows(model, account), f"Add a {model.__name__}."
    account.refresh_from_db()

    services.erase(account)

    for model, kept in KEPT.items():
        left = rows(model, account).values()
        assert {name for row in left for name, text in canaries(model).items() if row[name] == text} == kept, model


def test_what_was_agreed_to_and_when_is_kept(account: Account) -> None:
    before = list(Agreement.objects.values("text__kind", "text__version", "at"))

    services.erase(account)

    assert list(Agreement.objects.values("text__kind", "text__version", "at")) == before
    assert len(before) == 2
