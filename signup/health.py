"""Health checks: is the installation alive, and can it take sign-ups?"""

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import inf
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from time import monotonic
from uuid import uuid4

from django.db import Error, OperationalError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provisioning.database import OUTDATED, describe
from provisioning.models import Account, Worker
from signup import metrics, visitors

MAX_WAIT = 3
"""Seconds that a check may wait for the database."""
MAX_LOCKED = 2
"""Seconds of them that the trial sign-up may wait for a lock. Less, so that the database says what it waited for."""
SHARED = 1
"""Seconds for which a process uses what it found."""
ROOM = 1_000_000
"""Bytes that must be free on the database's disk. A sign-up and its account take about a tenth of it."""


@require_safe
@never_cache
def alive(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the web server runs. Nothing else is checked."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if sign-ups can be stored, and otherwise 503 with the reason. Storing them needs no worker.

    Strangers aren't told how many workers run.
    """
    try:
        with _deadline():
            if reason := _check.problem():
                return _not_ready(reason)
            is_told_more = _is_from_nearby(request) or metrics.may_read(request)
            more = {"workers": Worker.objects.alive().count()} if is_told_more else {}
            return JsonResponse({"status": "ready", **more})
    except Error as error:
        return _not_ready(describe(error))


def _deadline() -> AbstractContextManager[None]:
    """Give up a PostgreSQL server that is silent. SQLite can be locked, but not silent."""
    deadline = getattr(connection, "deadline", None)
    return deadline(MAX_WAIT) if deadline else nullcontext()


def _is_from_nearby(request: HttpRequest) -> bool:
    """Whether a probe of the same machine or network asks, and not a visitor through a proxy."""
    peer = visitors.peer(request)
    return peer is not None and not peer.is_global and "X-Forwarded-For" not in request.headers


def _not_ready(reason: str) -> JsonResponse:
    return JsonResponse({"status": "not ready", "reason": reason}, status=503)


class _Check:
    """Whether sign-ups can be stored. All who ask at about the same time share one look, because anybody may ask."""

    def __init__(self) -> None:
        self.turn, self.at, self.found = Lock(), -inf, ""

    def problem(self) -> str:
        """Return why no sign-ups can be stored; empty if they can."""
        with self.turn:
            if not 0 <= monotonic() - self.at <= SHARED:
                self.found = _look()
                self.at = monotonic()
            return self.found


_check = _Check()


def _look() -> str:
    try:
        if not is_migrated():
            return f"{OUTDATED} Run: manage.py migrate"
        try_to_store()
    except Error as error:
        return describe(error)
    return ""


def is_migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def try_to_store() -> None:
    """Store a sign-up and roll it back. Raises the database's error."""
    if connection.vendor == "sqlite":
        _require_room(Path(str(connection.settings_dict["NAME"])).parent)
    with _transaction_with_timeout():
        Account.objects.create(submission=uuid4(), state=Account.State.CLOSED)
        if connection.vendor == "postgresql":
            _spill()
        transaction.set_rollback(True)


def _require_room(directory: Path) -> None:
    """Raise SQLite's error for a full disk. What it rolls back never reached the disk, so it wouldn't notice."""
    try:
        with TemporaryFile(dir=directory) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OperationalError("database or disk is full") from None


def _spill() -> None:
    """Let PostgreSQL write a temporary file. On a full disk, the trial sign-up may fit into a page that has room."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64kB'")
        cursor.execute("SELECT count(*) FROM unnest(array_fill(repeat('x', 1000), ARRAY[%s]))", [ROOM // 1000])


@contextmanager
def _transaction_with_timeout() -> Iterator[None]:
    """Open a transaction in which each statement waits for no longer than `MAX_LOCKED`."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA busy_timeout = {MAX_LOCKED * 1000:.0f}")
        try:
            with transaction.atomic():
                if connection.vendor == "postgresql":
                    cursor.execute(f"SET LOCAL lock_timeout = '{MAX_LOCKED}s'")
                yield
        finally:
            if connection.vendor == "sqlite":
                cursor.execute(f"PRAGMA busy_timeout = {connection.settings_dict['OPTIONS']['timeout'] * 1000}")
