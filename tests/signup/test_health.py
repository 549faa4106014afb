from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from provisioning.models import Worker


@contextmanager
def unreachable_database() -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise OperationalError("connection to server at db.example.com, user signup, failed")

    with connection.execute_wrapper(refuse):
        yield


def test_alive_is_answered_without_looking_at_the_database(client: Client) -> None:
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
def test_not_ready_while_a_migration_is_missing(client: Client) -> None:
    MigrationRecorder.Migration.objects.filter(app="provisioning").delete()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reason": "Migrations are to be applied: manage.py migrate"}


@pytest.mark.django_db
def test_not_ready_without_the_database_of_which_nothing_is_told(client: Client) -> None:
    with unreachable_database():
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reason": "The database cannot be reached."}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_whoever_asks_is_not_sent_to_https_and_gets_no_old_answer(
    client: Client, settings: Settings, path: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True

    response = client.get(path)

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert client.post(path).status_code == 405
