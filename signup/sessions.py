"""Django's database sessions, for staff, single sign-on, and passwords that are kept for a while."""

from __future__ import annotations

from django.contrib.sessions.backends import db

from provisioning.models import StaffSession


class SessionStore(db.SessionStore):
    def cycle_key(self) -> None:
        """Move to a new key, also in the list of staff's sessions: deleting the old one would drop it from there."""
        data, old = self._get_session(), self.session_key  # type: ignore[attr-defined]
        self.create()
        self._session_cache = data
        if old:
            StaffSession.objects.filter(session=old).update(session=self.session_key)
            self.delete(old)
