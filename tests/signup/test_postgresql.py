"""The PostgreSQL backend: nothing holds a thread for much longer than the limit, whatever becomes of the connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import InternalError, OperationalError
from django.db.utils import ConnectionHandler

from provisioning.database import LOCKED, SLOW, describe
from signup.postgresql import base
from tests.installed import installed
from tests.line import Line
from tests.patience import PATIENCE
from tests.pgbouncer import PgBouncer
from tests.postgresql import WAITING, PostgreSQL
from tests.provisioning.sandbox.partner import until


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Iterator[None]:
    monkeypatch.setattr(base, "GRACE", 0.5)
    monkeypatch.setattr(base, "IDLE_TIMEOUT", 1)
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module")
def port(server: PostgreSQL) -> int:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 1 AS id")
    port = urlsplit(server.url).port
    assert port
    return port


@pytest.fixture
def line(port: int) -> Iterator[Line]:
    with Line(port) as line:
        yield line


@pytest.fixture
def pgbouncer(port: int) -> Iterator[PgBouncer]:
    with installed(PgBouncer, port) as pgbouncer:
        yield pgbouncer


@contextmanager
def session(port: int, limit: float | None = 1.0) -> Iterator[base.DatabaseWrapper]:
    """Open a session with the product's backend."""
    where = {"ENGINE": "signup.postgresql", "HOST": "127.0.0.1", "PORT": port, "NAME": "postgres", "USER": "tests"}
    connection = ConnectionHandler({"default": where | {"STATEMENT_TIMEOUT": limit}})["default"]
    assert isinstance(connection, base.DatabaseWrapper)
    try:
        yield connection
    finally:
        connection.close()


def run(connection: base.DatabaseWrapper, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


def settings_of(connection: base.DatabaseWrapper) -> list[str]:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    return [run(connection, f"SHOW {name}")[0] for name in names]


def begin(connection: base.DatabaseWrapper) -> None:
    connection.set_autocommit(False)
    run(connection, "SELECT 1")


@contextmanager
def transaction_of(connection: base.DatabaseWrapper) -> Iterator[None]:
    begin(connection)
    yield
    connection.commit()
    connection.set_autocommit(True)


def test_a_dead_connection_is_replaced(line: Line) -> None:
    with session(line.port) as connection:
        run(connection, "SELECT 1")
        line.die()
        with pytest.raises(OperationalError, match="did not answer in time"):
            run(connection, "SELECT 1")
        assert line.swallowed.is_set()

        line.revive()
        connection.close()
        assert run(connection, "SELECT 1") == (1,)


def test_a_dead_connection_holds_nobody_up_beyond_a_deadline(line: Line) -> None:
    """Neither the silent connection nor the one that replaces it: a probe's answer must come in time."""
    with session(line.port, limit=PATIENCE) as connection:
        run(connection, "SELECT 1")
        line.die()
        started = time.monotonic()
        for _ in range(2):
            with connection.deadline(1), pytest.raises(OperationalError):
                run(connection, "SELECT 1")
            connection.close()
        assert time.monotonic() - started < PATIENCE / 2

        line.revive()
        assert run(connection, "SELECT 1") == (1,)


def test_a_connection_that_dies_before_the_commit_is_replaced(line: Line) -> None:
    with session(line.port) as connection:
        begin(connection)
        line.die()
        with pytest.raises(OperationalError, match="did not answer in time"):
            connection.commit()


def test_a_kept_connection_that_was_ended_is_replaced_at_the_next_transaction(port: int) -> None:
    with session(port) as kept, session(port) as admin:
        kept.settings_dict |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
        [ended] = run(kept, "SELECT pg_backend_pid()")
        run(admin, f"SELECT pg_terminate_backend({ended}, 10000)")
        kept.close_if_unusable_or_obsolete()  # As before each request.

        with transaction_of(kept):
            assert run(kept, "SELECT pg_backend_pid()") != (ended,)
            assert settings_of(kept) == ["600ms", "1s", "1s"]


def test_a_transaction_begins_without_another_message(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(port) as kept:
        kept.settings_dict |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
        run(kept, "SELECT 1")
        kept.close_if_unusable_or_obsolete()
        monkeypatch.setattr(kept, "is_usable", lambda: pytest.fail("It asked whether the connection works."))

        with transaction_of(kept):
            assert run(kept, "SELECT 1") == (1,)


def test_where_no_connection_can_be_made_a_transaction_fails(port: int) -> None:
    with session(port) as kept, session(port) as admin:
        kept.settings_dict |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
        [ended] = run(kept, "SELECT pg_backend_pid()")
        kept.settings_dict["PORT"] = 1
        run(admin, f"SELECT pg_terminate_backend({ended}, 10000)")
        kept.close_if_unusable_or_obsolete()

        with pytest.raises(OperationalError):
            begin(kept)


@pytest.mark.parametrize("in_transaction", [True, False])
def test_waiting_for_a_lock_is_limited(port: int, in_transaction: bool) -> None:
    with session(port, limit=None) as one, session(port) as other, session(port, limit=None) as admin:
        begin(one)
        run(one, "LOCK TABLE thing")
        other.set_autocommit(not in_transaction)
        with pytest.raises(OperationalError) as refused:
            run(other, "UPDATE thing SET id = 2")

        assert describe(refused.value) == (LOCKED if in_transaction else SLOW)
        until(lambda: run(admin, "SELECT count(*) " + WAITING) == (0,))  # What was given up is canceled, too.


def test_the_server_releases_the_locks_of_a_dead_connection(line: Line, port: int) -> None:
    with session(line.port) as lost, session(port, limit=PATIENCE) as other:
        begin(lost)
        run(lost, "LOCK TABLE thing")
        line.die()
        begin(other)

        run(other, "UPDATE thing SET id = 2")


def test_without_a_limit_a_statement_may_take_any_time(port: int) -> None:
    with session(port, limit=None) as connection:
        begin(connection)
        assert settings_of(connection) == ["0", "0", "0"]


def test_behind_pgbouncer_limits_apply_to_their_transaction_only(pgbouncer: PgBouncer) -> None:
    with session(pgbouncer.port) as ours:
        with transaction_of(ours):
            assert settings_of(ours) == ["600ms", "1s", "1s"]
        with session(pgbouncer.port, limit=None) as migrate:
            assert settings_of(migrate) == ["0", "0", "0"]


def test_a_connection_that_stays_read_only_is_given_up_after_the_request(port: int) -> None:
    """Hosts of databases set this when the disk is nearly full. A connection that began then keeps it for good."""
    with session(port) as connection:
        connection.settings_dict["CONN_MAX_AGE"] = None
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
            with pytest.raises(InternalError):
                cursor.execute("DELETE FROM thing WHERE id = 0")

        connection.close_if_unusable_or_obsolete()  # As Django does.

        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM thing WHERE id = 0")
