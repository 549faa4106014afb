"""The database backend that `DATABASE_URL` selects for PostgreSQL.

Processes that serve (the web server and the workers) set STATEMENT_TIMEOUT in their DATABASES. Then no statement, lock,
or dead connection holds a thread for much longer. Commands such as `migrate` don't: a statement may take them an hour.

The limits are set with each transaction, not with the connection, so they work behind pgbouncer in transaction mode.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
from django.db.backends.postgresql import base

GRACE = 5.0
"""Seconds that the server has to report a timeout before the connection is given up."""
CANCEL_TIMEOUT = 2.0
IDLE_TIMEOUT = 30
"""Seconds after which the server ends a transaction whose client is silent, and releases its locks."""


class LimitedConnection(psycopg.Connection[Any]):
    limit: float | None = None
    """The longest time, in seconds, that a statement may take or wait for a lock; None means any time."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server, but not for longer than the limit."""
        if self.limit is None:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(gen, *args, **{"timeout": self.limit + GRACE} | kwargs)
        except psycopg.errors._WaitTimeout:
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
            raise psycopg.OperationalError("The server did not answer in time.") from None


class DatabaseWrapper(base.DatabaseWrapper):
    Database = SimpleNamespace(**vars(psycopg) | {"connect": LimitedConnection.connect})  # type: ignore[assignment]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.limit = self.settings_dict.get("STATEMENT_TIMEOUT")
        return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # not in the stubs
        if not autocommit and (limit := self.connection.limit):
            with self.wrap_database_errors:
                self.connection.execute(
                    f"SET LOCAL lock_timeout = '{0.6 * limit}s'; SET LOCAL statement_timeout = '{limit}s';"
                    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}s'"
                )
