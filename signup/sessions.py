"""Sessions in the database, as Django keeps them, with no statement that does nothing.

A sign-up makes a session and writes it, and Django's middleware would write it once more, in a transaction of its own.
"""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.utils.crypto import get_random_string


class SessionStore(db.SessionStore):
    _written = ""

    def save(self, must_create: bool = False) -> None:
        """Write the session, unless it has been written just so since it was loaded."""
        now = repr(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        if must_create or now != self._written:
            super().save(must_create)
            self._written = now

    def _get_new_session_key(self) -> str:
        """A random key; the INSERT finds out whether it is in use."""
        return get_random_string(32, VALID_KEY_CHARS)
