"""The health check of a worker's container."""

import socket
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models.functions import Now

from provisioning.models import Worker

pytestmark = pytest.mark.django_db

HOST = socket.gethostname()


def test_a_worker_on_this_host_that_reports_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    Worker.objects.create(name=f"{HOST}:1")

    call_command("alive")

    assert capsys.readouterr().out == "A worker is running.\n"


@pytest.mark.parametrize(("name", "ago"), [(f"{HOST}:1", 61), (f"{HOST}-2:1", 0)])
def test_a_silent_worker_and_one_on_another_host_are_not(name: str, ago: int) -> None:
    Worker.objects.create(name=name, seen_at=Now() - timedelta(seconds=ago))

    with pytest.raises(CommandError, match=f"No worker on {HOST} has reported"):
        call_command("alive")


def test_without_its_database_a_worker_is_not_healthy() -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection to server at db.example.com failed")

    with connection.execute_wrapper(refuse), pytest.raises(CommandError, match=r"^The database can't be reached\.$"):
        call_command("alive")
