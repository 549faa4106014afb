"""What all of these tests need: a database and a provider that other processes can reach."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from provisioning.sandbox import Server
from tests.provisioning.sandbox.partner import provider


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def sandbox(transactional_db: None, api: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A provider without accounts that this configuration points at, in which everything happens soon."""
    settings.CONSTANT_CONTACT_RATE = 1000.0
    settings.CONSTANT_CONTACT_TIMEOUT = 1.0
    settings.PROVISION_LEASE = 2.0
    settings.PROVISION_RECHECK = 0.0
    settings.PROVISION_THREADS = 1
    if connection.vendor == "sqlite":
        # Killing a process loses nothing that it has written, on the disk or not yet: only a power cut would.
        connection.close()
        options = connection.settings_dict["OPTIONS"]
        monkeypatch.setitem(options, "init_command", options["init_command"].replace("=FULL", "=OFF"))
    with Server(provider()) as server:
        settings.CONSTANT_CONTACT_URL, settings.CONSTANT_CONTACT_TOKEN_URL = server.url, server.token_url
        yield server
        for left_behind in multiprocessing.active_children():
            left_behind.kill()
            left_behind.join()
    connection.close()
