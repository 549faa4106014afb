"""Fixtures for all of these tests: a database and a sandbox that other processes can reach."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture
def held(sandbox: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Event]]:
    """Carry out each call that creates an account, but answer it only once its event in this list is set."""
    settings.CONSTANT_CONTACT_TIMEOUT = 50.0
    settings.PROVISION_LEASE = 60.0
    calls: list[threading.Event] = []
    carry_out = sandbox.provider.reply

    def reply(request: Any) -> Any:
        reply = carry_out(request)
        if request.method == "POST":
            calls.append(threading.Event())
            calls[-1].wait(60)
        return reply

    monkeypatch.setattr(sandbox.provider, "reply", reply)
    yield calls
    for call in calls:
        call.set()


Held = list[threading.Event]


def come_in(calls: Held, number: int) -> Callable[[], bool]:
    return lambda: len(calls) == number
