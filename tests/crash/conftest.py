"""Fixtures for all of these tests: a database and a sandbox that other processes can reach."""

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
    """Start an empty sandbox, point the settings at it, and make all delays short."""
    settings.CONSTANT_CONTACT_RATE = 1000.0
    settings.CONSTANT_CONTACT_TIMEOUT = 1.0
    settings.PROVISION_LEASE = 2.0
    settings.PROVISION_RECHECK = 0.0
    settings.PROVISION_THREADS = 1
    if connection.vendor == "sqlite":
        # No need to wait for the disk: killing a process loses nothing that it has written. Only a power cut would.
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
