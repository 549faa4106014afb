"""Sessions in the database, as Django keeps them, with no statement that does nothing.

A sign-up makes a session and writes it, and Django's middleware would write it once more, in a transaction of its own.
"""

from __future__ import annotations

import secrets

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import connection


class SessionStore(db.SessionStore):
    _written = ""

    def save(self, must_create: bool = False) -> None:
        """Write the session, unless it has been written just so since it was loaded."""
        now = repr(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        if must_create:  # Under a key that no other session has: no savepoint is needed to find that out.
            self._insert(self.create_model_instance(self._get_session(no_load=True)))  # type: ignore[attr-defined]
        elif now != self._written:
            super().save()
        self._written = now

    def _insert(self, session: AbstractBaseSession) -> None:
        """Insert a row: the ORM takes longer to put the statement together than the database to execute it."""
        until = connection.ops.adapt_datetimefield_value(session.expire_date)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (%s, %s, %s)",
                [session.session_key, session.session_data, until],
            )

    def _get_new_session_key(self) -> str:
        """A random key of 160 bits: no other session has it."""
        return secrets.token_hex(20)
