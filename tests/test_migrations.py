"""Migrations: one squashed migration per app, and the migrations that it replaces, for older databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import StateApps

LAST_RELEASE = [("provisioning", "0007_host"), ("signup", "0005_staff_identity")]
APPS = ("provisioning", "signup")


@pytest.mark.django_db
def test_no_model_has_changed_without_its_migration() -> None:
    call_command("makemigrations", check_changes=True, dry_run=True)


@pytest.fixture
def of_last_release(transactional_db: None) -> Iterator[StateApps]:
    """Migrate the database back to the last release, and return its models. Afterwards, update it again."""
    call_command("migrate", "signup", "zero", verbosity=0)
    call_command("migrate", "provisioning", "zero", verbosity=0)
    executor = MigrationExecutor(connection)
    executor.loader = MigrationLoader(connection, replace_migrations=False)
    state = executor.migrate(LAST_RELEASE)
    yield state.apps
    call_command("migrate", verbosity=0)


def fill(apps: StateApps) -> None:
    """Write a row into every table."""
    written: set[type[models.Model]] = set()
    ordered = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    for model in sorted(ordered, key=lambda model: sum(field.is_relation for field in model._meta.fields)):
        model._default_manager.create(**{field.name: value(field) for field in model._meta.fields if is_needed(field)})
        written.add(model)
    assert len(written) == len(ordered)


def is_needed(field: models.Field[Any, Any]) -> bool:
    is_given = field.has_default() or field.null or field.blank or field.db_default is not models.NOT_PROVIDED
    return not (is_given or field.primary_key)


def value(field: models.Field[Any, Any]) -> Any:
    if field.is_relation:
        related = field.related_model._default_manager  # type: ignore[union-attr]
        return related.first() or related.create(username="staff")
    if field.choices:
        return field.choices[1][0]
    kinds = {"UUIDField": uuid.uuid4(), "DateTimeField": datetime(2026, 1, 1, tzinfo=UTC)}
    return kinds.get(field.get_internal_type(), "1")


def columns() -> dict[str, set[str]]:
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if name.startswith(APPS)]
        return {
            table: {column.name for column in connection.introspection.get_table_description(cursor, table)}
            for table in tables
        }


def test_a_database_of_the_last_release_is_upgraded_with_all_its_rows(of_last_release: StateApps) -> None:
    fill(of_last_release)
    before = {
        model._meta.db_table: model._default_manager.count()
        for app in APPS
        for model in models_of(of_last_release, app)
    }

    call_command("migrate", verbosity=0)

    with connection.cursor() as cursor:
        for table, rows in before.items():
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
            assert cursor.fetchone()[0] == rows == 1


def models_of(apps: StateApps, app: str) -> list[type[models.Model]]:
    return list(apps.get_app_config(app).get_models())


@pytest.mark.long
def test_an_upgraded_database_is_like_a_new_one(of_last_release: StateApps) -> None:
    call_command("migrate", verbosity=0)
    upgraded = columns()
    call_command("migrate", "signup", "zero", verbosity=0)
    call_command("migrate", "provisioning", "zero", verbosity=0)
    call_command("migrate", verbosity=0)
    assert columns() == upgraded


@pytest.mark.long
def test_staffs_actions_move_to_the_audit_trail(of_last_release: StateApps) -> None:
    account = of_last_release.get_model("provisioning", "Account").objects.create(
        submission=uuid.uuid4(), state="held", username="anna", country_code="US"
    )
    kind, _new = ContentType.objects.get_or_create(app_label="provisioning", model="account")
    staff = User.objects.create(username="dora")
    for pk in (account.pk, account.pk + 1):
        LogEntry.objects.create(
            user=staff, content_type=kind, object_id=str(pk), action_flag=CHANGE, change_message="Approved"
        )

    call_command("migrate", verbosity=0)

    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id, user_id, what FROM provisioning_auditentry")
        assert cursor.fetchall() == [(account.pk, staff.pk, "Approved")]
    assert not LogEntry.objects.exists()


@pytest.mark.long
def test_account_ids_that_two_sign_ups_share_are_separated(of_last_release: StateApps) -> None:
    """The last release could give one account to two customers."""
    account = of_last_release.get_model("provisioning", "Account")
    for number in range(2):
        account.objects.create(
            submission=uuid.uuid4(), state="created", account_id="7", username=f"anna-{number}", country_code="US"
        )

    call_command("migrate", verbosity=0)

    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id, settled_by FROM provisioning_account ORDER BY id")
        (first, by), (second, _by) = cursor.fetchall()
    assert (first, by) == ("7", "answer")
    assert second.startswith("7 (doubled")
