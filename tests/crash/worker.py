"""A worker process that dies at a given boundary: before or after any action that is visible to others."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial, wraps
from multiprocessing.connection import Connection
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from urllib3.connection import HTTPConnection

from provisioning.constant_contact import Client, v2, v3
from provisioning.gateway import permits
from provisioning.management import start_up
from provisioning.management.commands import provision
from provisioning.mirror import passes
from signup.postgresql import base as postgresql

KILLED = 9
PAGE = 10
"""Accounts on a page of the list: the fewest that v3 gives."""

EVENTS = (
    (BaseDatabaseWrapper, "_commit"),
    (BaseDatabaseWrapper, "_rollback"),
    (HTTPConnection, "connect"),
    (http.client.HTTPConnection, "send"),
    (HTTPConnection, "getresponse"),
    (Client, "call"),
)
"""Actions that are visible outside the process, besides SQL statements: sent bytes, and the end of transactions."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


class Worker:
    """`manage.py provision` in a separate process, with this process's database and settings.

    It is killed at boundary number `dies_at`, counted from 1, or never if that is not given. Its calls may start `late`
    seconds late; if that is negative, all calls are too late. Chores are done once, so that a slow machine reaches the
    same boundaries, unless `chores` is the time between them.
    """

    def __init__(self, *arguments: str, dies_at: int = 0, late: float = 60.0, chores: float = 60.0) -> None:
        names = [
            name
            for name in dir(settings)
            if name.startswith(("CONSTANT_CONTACT_", "PROVISION_", "STATEMENT_", "WEBHOOK_"))
        ]
        configuration = {name: getattr(settings, name) for name in names}
        self._told, tell = _processes.Pipe(duplex=False)
        self.process = _processes.Process(
            target=_work, args=(arguments, dies_at, late, chores, connection.settings_dict, configuration, tell)
        )
        self.process.start()
        tell.close()

    def end(self) -> tuple[int | None, list[str]]:
        """Wait for its end. Return its exit status, and the names of the boundaries that it reached."""
        self.process.join(60)
        return self.process.exitcode, self._told.recv()


def _work(
    arguments: tuple[str, ...],
    dies_at: int,
    late: float,
    chores: float,
    database: dict[str, Any],
    configuration: dict[str, Any],
    tell: Connection,
) -> None:
    connection.settings_dict.update(database)
    for name, value in configuration.items():
        setattr(settings, name, value)
    permits.LATE = late
    postgresql.GRACE = postgresql.CANCEL_TIMEOUT = 0.5
    v2.PAGE_SIZE = v3.PAGE_SIZE = PAGE
    passes.MAX_PASS_BACK_OFF = timedelta()  # Otherwise, a slow machine would reach other boundaries.
    provision.BUSY = 0.001
    provision.CHORES = chores
    # The system checks would refuse these tests' short lease.
    start_up.check = partial(call_command, "check_keys", verbosity=0)  # type: ignore[assignment]
    provision.claim_job = _unhurried(provision.claim_job)
    boundaries = _Boundaries(dies_at, tell)
    connection_created.connect(boundaries.watch_statements)
    for owner, event in EVENTS:
        setattr(owner, event, boundaries.around(event, getattr(owner, event)))
    call_command("provision", *arguments)
    tell.send(boundaries.names)


def _unhurried(claim_job: Callable[[], Any]) -> Any:
    """Wait before each claim: SQLite's clock has milliseconds, so what is due now may be due in the next one."""

    def slow(**options: Any) -> Any:
        time.sleep(0.002)
        return claim_job(**options)

    return slow


class _Boundaries:
    def __init__(self, dies_at: int, tell: Connection) -> None:
        self.names: list[str] = []
        self._dies_at = dies_at
        self._tell = tell
        self._lock = threading.Lock()

    def watch_statements(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if self._statement not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._statement)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._crossing(name):
                return function(*args, **kwargs)

        return watched

    def _statement(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        table = re.search(r'"provisioning_(\w+)"', sql)
        with self._crossing(" ".join([sql.split()[0], table[1] if table else ""])):
            return execute(sql, *rest)

    @contextmanager
    def _crossing(self, name: str) -> Iterator[None]:
        self._at(f"before {name}")
        try:
            yield
        finally:
            self._at(f"after {name}")

    def _at(self, name: str) -> None:
        with self._lock:
            self.names.append(name)
            if len(self.names) == self._dies_at:
                self._tell.send(self.names)
                os._exit(KILLED)
