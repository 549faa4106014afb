"""The database backend that `DATABASE_URL` selects for PostgreSQL.

Processes that serve (the web server and the workers) set STATEMENT_TIMEOUT in their DATABASES. Then no statement, lock,
or dead connection holds a thread for much longer. Commands such as `migrate` don't: a statement may take them an hour.

The limits are set with each transaction, not with the connection, so they work behind pgbouncer in transaction mode.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError
from django.db.backends.postgresql import base

GRACE = 5.0
"""Seconds that the server has to report a timeout before the connection is given up."""
CANCEL_TIMEOUT = 2.0
IDLE_TIMEOUT = 30
"""Seconds after which the server ends a transaction whose client is silent, and releases its locks."""

SILENT = "The server did not answer in time."


class LimitedConnection(psycopg.Connection[Any]):
    limit: float | None = None
    """The longest time, in seconds, that a statement may take or wait for a lock; None means any time."""
    ends_at = math.inf
    """When, by the monotonic clock, the server is given up."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server, but not for longer than the limit, or beyond the deadline."""
        left = self.ends_at - time.monotonic()
        timeout = min(math.inf if self.limit is None else self.limit + GRACE, max(left, 0))
        if timeout == math.inf:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(gen, *args, **{"timeout": timeout} | kwargs)
        except psycopg.errors._WaitTimeout:  # The base class also covers errors of the server, which need no cancel.
            if left <= timeout:
                self.close()
                raise psycopg.OperationalError(SILENT) from None
            return self._cancel(gen)

    def _cancel(self, gen: Any) -> Any:
        """Cancel a statement, which raises QueryCanceled. If the server is silent, close the connection."""
        try:
            self.cancel_safe(timeout=CANCEL_TIMEOUT)
            return super().wait(gen, timeout=CANCEL_TIMEOUT)
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.OperationalError:
            self.close()
            raise psycopg.OperationalError(SILENT) from None


class DatabaseWrapper(base.DatabaseWrapper):
    Database = SimpleNamespace(**vars(psycopg) | {"connect": LimitedConnection.connect})  # type: ignore[assignment]

    ends_at = math.inf

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Give the server up once these seconds are over, whether it is silent or can't be connected to."""
        self._end_at(time.monotonic() + seconds)
        try:
            yield
        finally:
            self._end_at(math.inf)

    def _end_at(self, moment: float) -> None:
        self.ends_at = moment
        if self.connection:
            self.connection.ends_at = moment

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.ends_at < math.inf:
            left = self.ends_at - time.monotonic()
            if left <= 0:
                raise psycopg.OperationalError(SILENT)
            conn_params = conn_params | {"connect_timeout": math.ceil(left)}
        connection = super().get_new_connection(conn_params)
        connection.limit, connection.ends_at = self.settings_dict.get("STATEMENT_TIMEOUT"), self.ends_at
        return connection

    def is_usable(self) -> bool:
        """Whether it works, and may write: it stays read-only after `default_transaction_read_only` was reset.

        Django asks after a request in which the database reported an error.
        """
        if self.connection is None:
            return False
        try:
            row = self.connection.execute("SHOW transaction_read_only").fetchone()
        except psycopg.Error:
            return False
        return bool(row == ("off",))

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        """Begin a transaction on a kept connection without asking first whether it still works: BEGIN shows that."""
        if autocommit or not self._needs_health_check():
            super().set_autocommit(autocommit, *args, **kwargs)
            return
        self.health_check_done = True
        try:
            super().set_autocommit(autocommit, *args, **kwargs)
        except (OperationalError, InterfaceError):
            self.close()
            super().set_autocommit(autocommit, *args, **kwargs)  # On a new connection.

    def _needs_health_check(self) -> bool:
        enabled: bool = self.health_check_enabled  # type: ignore[attr-defined]  # not in the stubs
        return enabled and self.connection is not None and not self.health_check_done

    def _set_autocommit(self, autocommit: bool) -> None:
        """Begin a transaction and set its limits by one message. To psycopg, the connection stays in autocommit mode:
        otherwise, it would begin the transaction by a message of its own. Its commit and rollback work all the same.
        """
        limit = self.connection.limit
        if autocommit or not limit:
            super()._set_autocommit(autocommit)  # type: ignore[misc]  # not in the stubs
            return
        with self.wrap_database_errors:
            self.connection.execute(
                f"BEGIN; SET LOCAL lock_timeout = '{0.6 * limit}s'; SET LOCAL statement_timeout = '{limit}s';"
                f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}s'"
            )
