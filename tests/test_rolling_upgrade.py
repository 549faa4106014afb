"""A rolling upgrade: while servers are updated one by one, the previous release works on the new release's database.

The new release's `migrate` runs first. So what the previous release reads must still be there, and what it doesn't
know must not be required when it stores something.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED, Field

from provisioning.sandbox import Server
from tests.checkout import ROOT, Checkout
from tests.postgresql import PostgreSQL
from tests.provisioning.sandbox.partner import provider, until
from tests.signup.accounts import TYPED
from tests.visitor import Visitor, serve

PREVIOUS = "0ff14fc6b40e"
"""The previous release: its tag, or a commit if it has none. CONTRIBUTING.md says when to change it."""
NEWEST_MIGRATIONS = [("provisioning", "0020_plain_words"), ("signup", "0015_emails")]
"""The newest migrations of the previous release."""

Columns: TypeAlias = "dict[str, dict[str, Field[Any, Any]]]"


def columns_after(migrations: list[tuple[str, str]]) -> Columns:
    """Return table → column → field, after these migrations."""
    apps = MigrationLoader(None).project_state(migrations).apps
    return {
        model._meta.db_table: {str(field.column): field for field in model._meta.local_fields}
        for app in ("provisioning", "signup")
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
    }


def git(*arguments: str) -> list[str]:
    """Return the lines that Git prints. Skip the test if its history doesn't reach back that far."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("Git's history doesn't have the previous release.")
    return done.stdout.splitlines()


def test_the_previous_release_is_the_last_one_that_was_tagged() -> None:
    tags = git("tag", "--list", "v*", "--merged", "HEAD", "--no-contains", "HEAD", "--sort=-version:refname")
    if not tags:
        pytest.skip("No release is tagged in this clone.")

    assert tags[0] == PREVIOUS, "CONTRIBUTING.md, Release, says what to set after a release."


def test_the_newest_migrations_are_those_of_the_previous_release() -> None:
    for app, newest in NEWEST_MIGRATIONS:
        names = [Path(file).stem for file in git("ls-tree", "--name-only", PREVIOUS, f"{app}/migrations/")]

        assert max(name for name in names if name[0].isdigit()) == newest


@pytest.fixture(scope="module")
def previous() -> Columns:
    return columns_after(NEWEST_MIGRATIONS)


@pytest.fixture(scope="module")
def current() -> Columns:
    leaves = MigrationLoader(None).graph.leaf_nodes()
    return columns_after([(app, name) for app, name in leaves if app in {"provisioning", "signup"}])


def is_required(field: Field[Any, Any]) -> bool:
    return not (field.null or field.primary_key) and field.db_default is NOT_PROVIDED


def test_nothing_that_the_previous_release_uses_is_gone(previous: Columns, current: Columns) -> None:
    """Stop using a table or a column in one release, and remove it in the next. Never rename one."""
    assert [
        f"{table}.{column}" for table in previous for column in previous[table] if column not in current.get(table, {})
    ] == []


def test_what_the_previous_release_does_not_store_has_a_default_in_the_database(
    previous: Columns, current: Columns
) -> None:
    """Give a new column `db_default=…` or `null=True`: Django's own `default` is unknown to the previous release."""
    assert [
        f"{table}.{column}"
        for table in previous
        for column, field in current.get(table, {}).items()
        if is_required(field) and not (column in previous[table] and is_required(previous[table][column]))
    ] == []


def test_what_the_previous_release_stores_still_fits(previous: Columns, current: Columns) -> None:
    assert [
        f"{table}.{column}"
        for table in previous
        for column, field in previous[table].items()
        if (now := current.get(table, {}).get(column)) and (now.max_length or 0) < (field.max_length or 0)
    ] == []


# The previous release itself, as processes


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'db.sqlite3'}"
    database: PostgreSQL = request.getfixturevalue("database")
    return database.url


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Checkout]:
    try:
        checkout = Checkout(tmp_path / "previous", PREVIOUS)
    except FileNotFoundError as error:  # A shallow clone, or an archive. A full clone, as in CI, has it.
        pytest.skip(str(error))
    yield checkout
    checkout.end()


PASSWORD = "correct horse battery staple"


@pytest.mark.long  # The tests above compare what the two releases store.
def test_the_previous_release_works_on_a_migrated_database(url: str, earlier: Checkout, checkout: Checkout) -> None:
    """It takes sign-ups and creates accounts, its own and the new release's, and its staff see both."""
    with Server(provider()) as sandbox:
        for each in (earlier, checkout):
            each.environment |= {
                "DEBUG": "true",
                "DATABASE_URL": url,
                "SECRET_KEY": settings.SECRET_KEY,
                "SEALING_KEYS": settings.SEALING_KEYS[0],
                "ABUSE_PROTECTION": "false",
                "CONSTANT_CONTACT_URL": sandbox.url,
                "CONSTANT_CONTACT_RATE": "4",  # The previous release postpones calls that start late. Here, few do.
                "CONSTANT_CONTACT_LIST_HOURS": "0",
                "CONSTANT_CONTACT_API_KEY": settings.CONSTANT_CONTACT_API_KEY,
                "CONSTANT_CONTACT_USERNAME": settings.CONSTANT_CONTACT_USERNAME,
                "CONSTANT_CONTACT_PASSWORD": settings.CONSTANT_CONTACT_PASSWORD,
                "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            }
        migrated = checkout.run("manage.py", "migrate", "-v0")
        assert migrated.returncode == 0, migrated.stderr

        visitor, newer = serve(earlier), serve(checkout)
        earlier.start("manage.py", "provision", "--threads=2")
        visitor.open("/", TYPED | {"username": "anna-before", "email": "anna@example.com"})
        newer.open("/", TYPED | {"username": "berta-after", "email": "berta@example.com"})
        until(lambda: sorted(sandbox.provider.accounts) == ["anna-before", "berta-after"])

        command = ("createsuperuser", "--no-input", "--username=dora", "--email=dora@example.com")
        assert earlier.run("manage.py", *command).returncode == 0
        staff = Visitor(visitor.site)
        staff.open("/admin/login/", {"username": "dora", "password": PASSWORD})
        for name in ("anna-before", "berta-after"):
            assert name in staff.open(f"/admin/provisioning/account/?q={name}")
        assert '"status": "ready"' in visitor.open("/readyz")
