"""Django's database sessions, without redundant statements.

A sign-up creates a session and saves it, and Django's middleware would save it once more, in its own transaction. The
statements that every sign-up and every waiting page runs are plain SQL, because the ORM takes longer to build them than
the database takes to answer.
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
        """Write the session, unless the same data was already written by this object."""
        now = repr(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        if must_create:
            self._insert()
        elif now != self._written:
            super().save()
        self._written = now

    def _insert(self) -> None:
        """Insert a row. Its key is random and can't collide, so no savepoint is needed."""
        data = self._get_session(no_load=True)  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (%s, %s, %s)",
                [self._get_or_create_session_key(), self.encode(data), _column(self.get_expiry_date())],  # type: ignore[attr-defined]
            )

    def cycle_key(self) -> None:
        """Move to a new key, also in the list of staff's sessions: deleting the old one would drop it from there."""
        data, old = self._get_session(), self.session_key  # type: ignore[attr-defined]
        self.create()
        self._session_cache = data
        if old:
            StaffSession.objects.filter(session=old).update(session=self.session_key)
            self.delete(old)

    def _get_new_session_key(self) -> str:
        """Return a random key of 160 bits, which no other session has."""
        return secrets.token_hex(20)


def _column(time: datetime) -> Any:
    """Return a time in the form that the database takes."""
    return connection.ops.adapt_datetimefield_value(time)
