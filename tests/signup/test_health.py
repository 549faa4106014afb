import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account, Worker
from signup import health
from tests.line import Line
from tests.patience import PATIENCE


@contextmanager
def unreachable_database(said: str = "connection to server at db.example.com, user signup, failed") -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise OperationalError(said)

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture(autouse=True)
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the database for each request."""
    monkeypatch.setattr(health, "SHARED", -1)
    monkeypatch.setattr(health, "_check", health._Check())


@contextmanager
def read_only_database() -> Iterator[None]:
    """Make the database refuse writes, as a standby does."""
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON" if is_sqlite else "SET default_transaction_read_only = on")
        try:
            yield
        finally:
            cursor.execute("PRAGMA query_only = OFF" if is_sqlite else "SET default_transaction_read_only = off")


@contextmanager
def locked_database() -> Iterator[None]:
    """Hold a lock that keeps sign-ups from being stored, in a session of its own."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            else:
                other.set_autocommit(False)
                cursor.execute("LOCK TABLE provisioning_account IN EXCLUSIVE MODE")
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()


def test_alive_is_answered_without_the_database(client: Client) -> None:
    response = client.get("/healthz")  # pytest-django fails a test that reaches the database unasked.

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
def test_ready_once_the_database_is_migrated(client: Client) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ready", "workers": 0})


@pytest.mark.django_db
def test_ready_tells_how_many_workers_are_alive(client: Client) -> None:
    Worker.objects.create(name="alive:1")
    Worker.objects.create(name="dead:1", seen_at=Now() - timedelta(minutes=2))

    assert client.get("/readyz").json() == {"status": "ready", "workers": 1}


@pytest.mark.django_db
@pytest.mark.parametrize("stranger", [{"REMOTE_ADDR": "8.8.8.8"}, {"HTTP_X_FORWARDED_FOR": "8.8.8.8"}])
def test_strangers_are_told_how_many_workers_run_only_with_the_token(
    settings: Settings, stranger: dict[str, Any]
) -> None:
    settings.METRICS_TOKEN = "canary-metrics"

    client = Client(**stranger)

    assert client.get("/readyz").json() == {"status": "ready"}
    allowed = client.get("/readyz", headers={"Authorization": "Bearer canary-metrics"})
    assert allowed.json() == {"status": "ready", "workers": 0}


@pytest.mark.django_db
def test_not_ready_while_a_migration_is_missing(client: Client) -> None:
    MigrationRecorder.Migration.objects.filter(app="provisioning").delete()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "reason": "The database is not up to date. Run: manage.py migrate",
    }


@pytest.mark.django_db
def test_not_ready_without_the_database_and_without_details(client: Client) -> None:
    with unreachable_database():
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reason": "The database can't be reached."}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("FATAL:  sorry, too many clients already", "The database accepts no more connections."),
        (
            "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
            "The database accepts no more connections.",
        ),
        ('FATAL:  password authentication failed for user "canary"', "The database refuses the login."),
    ],
)
def test_what_the_database_says_while_connecting_is_told_in_words(client: Client, said: str, reason: str) -> None:
    with unreachable_database(f"connection failed: connection to server at 10.0.0.7, port 5432 failed: {said}"):
        response = client.get("/readyz")

    assert response.json() == {"status": "not ready", "reason": reason}


@pytest.mark.django_db(transaction=True)
def test_not_ready_while_the_database_is_read_only(client: Client) -> None:
    with read_only_database():
        response = client.get("/readyz")

    assert (response.status_code, response.json()["reason"]) == (503, "The database is read-only.")


@pytest.mark.django_db(transaction=True)
def test_not_ready_while_another_session_locks_the_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_LOCKED", 1)
    with locked_database():
        response = client.get("/readyz")

    assert (response.status_code, response.json()["reason"]) == (503, "The database is locked by another session.")
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="The check of SQLite's disk is its own; see tests/operations")
def test_the_check_needs_room_on_the_disk_of_the_database() -> None:
    """A trial sign-up alone often fits into a page that has room, when no real one can be stored any more."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET temp_file_limit = '{health.ROOM // 1024 - 1}kB'")
        try:
            with pytest.raises(DatabaseError, match="temporary file size exceeds"):
                health.try_to_store()
        finally:
            cursor.execute("RESET temp_file_limit")
    health.try_to_store()


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server that could fall silent")
def test_a_silent_database_is_given_up_in_time_for_those_who_probe(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Line(connection.settings_dict["PORT"]) as line:
        over = connection.copy()
        over.settings_dict |= {"PORT": line.port, "STATEMENT_TIMEOUT": PATIENCE}
        over.settings_dict["OPTIONS"] |= {"connect_timeout": int(PATIENCE)}
        monkeypatch.setattr(health, "connection", over)
        monkeypatch.setattr(health, "MAX_WAIT", PATIENCE / 4)
        assert client.get("/readyz").status_code == 200

        line.die()
        monkeypatch.setattr(health, "MAX_WAIT", 1)
        started = time.monotonic()
        response = client.get("/readyz")
        assert response.json()["reason"] == "The database can't be reached."
        assert time.monotonic() - started < PATIENCE / 2
        over.close()


@pytest.mark.django_db
def test_those_who_ask_at_the_same_time_share_one_check(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one writes, and anybody may ask."""
    clock = [1000.0]
    monkeypatch.setattr(health, "SHARED", 1)
    monkeypatch.setattr(health, "monotonic", lambda: clock[0])
    monkeypatch.setattr(health, "try_to_store", store := mock.Mock())

    for _ in range(3):
        assert client.get("/readyz").status_code == 200
    assert store.call_count == 1

    clock[0] += 1.1
    store.side_effect = OperationalError("gone")
    assert [client.get("/readyz").status_code for _ in range(3)] == [503] * 3
    assert store.call_count == 2


@pytest.mark.django_db(transaction=True)
def test_the_trial_sign_up_leaves_nothing_behind(client: Client) -> None:
    assert client.get("/readyz").status_code == 200

    assert not Account.objects.exists()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (20_000,)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host", ["10.0.0.7:8000", "web_1", "signup.example.net", "not a host name"])
def test_probes_are_answered_whatever_host_they_ask_for(client: Client, path: str, host: str) -> None:
    assert client.get(path, headers={"host": host}).status_code == 200
    assert client.get("/", headers={"host": host}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_answers_are_neither_redirected_to_https_nor_cached(client: Client, settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True

    response = client.get(path)

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert client.post(path).status_code == 405
