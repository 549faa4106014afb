"""Django's database sessions, for staff, single sign-on, and passwords that are kept for a while."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from provisioning.models import StaffSession

BATCH_SIZE = 500
"""How many expired sessions to delete at once, so that a burst of them doesn't delay other chores."""


class SessionStore(db.SessionStore):
    def cycle_key(self) -> None:
        """Move to a new key, also in the list of staff's sessions: deleting the old one would drop it from there."""
        data, old = self._get_session(), self.session_key  # type: ignore[attr-defined]
        self.create()
        self._session_cache = data
        if old:
            StaffSession.objects.filter(session=old).update(session=self.session_key)
            self.delete(old)


def delete_expired(**kwargs: Any) -> None:
    """Delete expired sessions, which Django keeps: they hold names and addresses. Runs as a worker's chore."""
    expired = Session.objects.filter(expire_date__lt=Now())[:BATCH_SIZE].values_list("pk")
    if expired.exists():  # Usually there are none, and nothing is written.
        Session.objects.filter(pk__in=expired).delete()
