"""Workers delete expired sessions, which Django keeps."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from provisioning.signals import chores
from signup import sessions

pytestmark = pytest.mark.django_db


def expire(number: int) -> None:
    """Store sessions that expired yesterday."""
    yesterday = timezone.now() - timedelta(days=1)
    Session.objects.bulk_create(Session(session_key=f"over-{n}", expire_date=yesterday) for n in range(number))


def test_only_expired_sessions_are_deleted() -> None:
    expire(1)
    Session.objects.create(session_key="kept", expire_date=timezone.now() + timedelta(days=1))

    chores.send_robust(None)
    chores.send_robust(None)

    assert list(Session.objects.values_list("session_key", flat=True)) == ["kept"]


def test_many_are_deleted_in_batches() -> None:
    expire(sessions.BATCH_SIZE + 1)

    left = []
    for _ in range(3):
        chores.send_robust(None)
        left.append(Session.objects.count())

    assert left == [1, 0, 0]
