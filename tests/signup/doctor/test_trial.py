"""The test account that the doctor creates."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning.models import Account, Worker
from provisioning.sandbox import Server
from signup.doctor import Level, trial
from tests.provisioning.work import work
from tests.signup.doctor.conftest import levels

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """Work in another thread, as a worker does."""
    Worker.objects.create(name="host:1", seen_at=Now())
    ended = threading.Event()

    def go_on() -> None:
        from django.db import connection

        while not ended.wait(0.05):
            work()
        connection.close()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_test_account_is_created_and_found_and_its_evidence_masked(
    sandbox: Server, settings: Settings, worker: None
) -> None:
    settings.CONSTANT_CONTACT_RATE = 1000.0

    (finding,) = trial.create_account()

    (name,) = sandbox.provider.accounts
    assert finding.level == Level.OK
    assert "HTTP 201" in finding.text
    assert name not in finding.text
    assert Account.objects.get().email.endswith("@nullmailer.com")
    assert Account.objects.get().country_code != "US"


def test_without_a_worker_no_test_account_is_requested(sandbox: Server) -> None:
    assert levels(trial.create_account()) == [Level.FAILURE]
    assert not Account.objects.exists()
