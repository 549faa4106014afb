"""Sessions in the database, as Django keeps them, with no statement that does nothing.

A sign-up makes a session and writes it, and Django's middleware would write it once more, in a transaction of its own.
What every sign-up and every page that waits asks of the database is plain SQL here: the ORM takes longer to put it
together than the database to answer.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.contrib.sessions.backends import db
from django.db import connection
from django.utils import timezone

from provisioning.models import StaffSession


class SessionStore(db.SessionStore):
    _written = ""

    def load(self) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s",
                [self.session_key, _column(timezone.now())],
            )
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        session: dict[str, Any] = self.decode(row[0])
        return session

    def save(self, must_create: bool = False) -> None:
        """Write the session, unless it has been written just so since it was loaded."""
        now = repr(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        if must_create:
            self._insert()
        elif now != self._written:
            super().save()
        self._written = now

    def _insert(self) -> None:
        """Insert a row under a key that no other session has: no savepoint is needed to find that out."""
        session = self.create_model_instance(self._get_session(no_load=True))  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (%s, %s, %s)",
                [session.session_key, session.session_data, _column(session.expire_date)],
            )

    def cycle_key(self) -> None:
        """Go on under a new key, and let the list of staff's sessions know, which loses what is deleted."""
        data, old = self._get_session(), self.session_key  # type: ignore[attr-defined]
        self.create()
        self._session_cache = data
        if old:
            StaffSession.objects.filter(session=old).update(session=self.session_key)
            self.delete(old)

    def _get_new_session_key(self) -> str:
        """A random key of 160 bits: no other session has it."""
        return secrets.token_hex(20)


def _column(time: datetime) -> Any:
    """A time as the database takes it."""
    return connection.ops.adapt_datetimefield_value(time)
