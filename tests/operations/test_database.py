"""The database takes nothing, or can't be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.db import DataError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from provisioning.models import Account
from tests.operations.symptoms import DOCUMENT, not_ready, symptom
from tests.postgresql import PostgreSQL
from tests.provisioning.work import State, again, sign_up
from tests.signup.test_health import locked_database, read_only_database, unreachable_database

pytestmark = pytest.mark.django_db(transaction=True)


@symptom("The database is read-only.")
def test_a_read_only_database_is_not_ready_and_then_is_again() -> None:
    with read_only_database():
        assert not_ready() == "The database is read-only."
    assert Client().get("/readyz").status_code == 200


@symptom("The database is locked by another session.")
def test_a_locked_database_is_not_ready_and_then_is_again() -> None:
    with locked_database():
        assert not_ready() == "The database is locked by another session."
    assert Client().get("/readyz").status_code == 200


@contextmanager
def full_disk() -> Iterator[None]:
    """Let SQLite's file grow no further, which SQLite reports like a full disk."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")


def fill_up() -> None:
    """Store accounts until no more fit. One may fit after one that didn't: random IDs decide which pages of indexes it
    needs. Once twenty in a row didn't, the table's own last page is full.
    """
    failed = 0
    while failed < 20:
        try:
            Account.objects.create(submission=uuid4(), state=State.CLOSED)
            failed = 0
        except OperationalError:
            failed += 1


@symptom("The database's disk is full.")
def test_a_full_disk_is_not_ready_and_what_was_stored_is_kept() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's disk can't be filled here; tests/crash has its errors.")
    account = sign_up()
    with full_disk():
        fill_up()
        assert not_ready() == "The database's disk is full."
    assert Client().get("/readyz").status_code == 200
    assert again(account).state == State.QUEUED


@symptom("The database can't be reached.")
def test_an_unreachable_database_is_not_ready() -> None:
    with unreachable_database():
        assert not_ready() == "The database can't be reached."


@symptom("The database accepts no more connections.")
def test_a_database_without_a_free_connection_says_so() -> None:
    with unreachable_database("connection failed: FATAL:  sorry, too many clients already"):
        assert not_ready() == "The database accepts no more connections."


@symptom("The database refuses the login.")
@pytest.mark.parametrize(
    "reason",
    [
        'password authentication failed for user "signup"',
        'role "signup" is not permitted to log in',
        'no pg_hba.conf entry for host "10.0.0.7", user "signup", database "signup", no encryption',
        'permission denied for database "signup"',
    ],
)
def test_a_login_that_the_database_refuses_is_named(reason: str) -> None:
    with unreachable_database(f"connection failed: FATAL:  {reason}"):
        assert not_ready() == "The database refuses the login."


@symptom("The database is not up to date.")
def test_a_missing_migration_is_not_ready() -> None:
    applied = MigrationRecorder.Migration.objects.filter(app="signup").latest("name")
    applied.delete()
    assert not_ready() == "The database is not up to date. Run: manage.py migrate"

    applied.save()  # As `migrate` does.
    assert Client().get("/readyz").status_code == 200


@contextmanager
def weak_role() -> Iterator[None]:
    """Act as a role that may read everything, and write nothing."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE weak; GRANT SELECT ON ALL TABLES IN SCHEMA public TO weak; SET ROLE weak")
        try:
            yield
        finally:
            cursor.execute("RESET ROLE; DROP OWNED BY weak; DROP ROLE weak")


@symptom("The database's role lacks a permission.")
def test_a_role_that_lost_a_permission_is_not_said_to_be_unreachable() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no roles.")
    with weak_role():
        assert not_ready() == "The database's role lacks a permission."
    assert Client().get("/readyz").status_code == 200


@symptom("The database server has no such database or role.")
def test_a_database_that_does_not_exist_is_named() -> None:
    with unreachable_database('connection failed: FATAL:  database "signup" does not exist'):
        assert not_ready() == "The database server has no such database or role."


@symptom("The database is damaged.")
def test_a_damaged_database_is_named() -> None:
    with unreachable_database("database disk image is malformed"):
        assert not_ready() == "The database is damaged."


@symptom("The database reports an error")
def test_an_error_that_nobody_expects_is_named_by_its_kind() -> None:
    def fail(*_: object) -> None:
        raise DataError

    with connection.execute_wrapper(fail):
        assert not_ready() == "The database reports an error: DataError."


STATEMENTS = re.findall(
    r"`((?:SELECT|SHOW|GRANT|ALTER ROLE) [^`]+)`|psql -c '([A-Z][^']+)'", DOCUMENT.read_text(), re.MULTILINE
)


def test_each_statement_in_the_document_does_what_it_says(database: PostgreSQL) -> None:
    with psycopg.connect(database.url, autocommit=True) as superuser, psycopg.connect(database.url) as holder:
        superuser.execute(
            "CREATE ROLE signup LOGIN CONNECTION LIMIT 1; CREATE TABLE account (); CREATE TABLE worker ()"
        )
        holder.execute("LOCK TABLE account")
        pid = holder.info.backend_pid
        oldest = None
        for each in map("".join, STATEMENTS):
            done = superuser.execute(each.removesuffix(r" \gexec").replace("(pid)", f"({pid})"))
            if each.endswith(r"\gexec"):  # Run each row, as psql does.
                for (statement,) in done.fetchall():
                    superuser.execute(statement)
            elif each.startswith("SELECT pid"):
                oldest = done.fetchone()

        assert oldest
        assert oldest[0] == pid
        with pytest.raises(psycopg.OperationalError):
            holder.execute("SELECT 1")
        owners = superuser.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert owners == [("signup",)]
        role = superuser.execute("SELECT rolconnlimit, rolcreatedb FROM pg_roles WHERE rolname = 'signup'").fetchone()
        assert role == (-1, True)
