"""Two workers look for the same sign-ups at once, and each is told once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from provisioning.events import outbox
from provisioning.models import Event
from tests.postgresql import WAITING
from tests.provisioning.events.queue import endpoint
from tests.provisioning.work import State, account_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time."),
]

LOCK = 4711


def test_a_stuck_sign_up_is_told_once_by_two_workers() -> None:
    """The slower one's query began before the faster one had told, and finds the row unlocked after it."""
    endpoint("https://crm.example.com/")
    account_in(State.UNCONFIRMED, due_at=None)
    waits = threading.Event()

    def hold_up(execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "FOR UPDATE" in sql:
            sql = sql.replace("WHERE ", f"WHERE (SELECT pg_advisory_lock({LOCK})::text) IS NOT NULL AND ", 1)
            waits.set()
        return execute(sql, parameters, many, context)

    def tell() -> None:
        try:
            with connection.execute_wrapper(hold_up):
                outbox.record_stuck_accounts()
        finally:
            connection.close()

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        slower = threading.Thread(target=tell)
        slower.start()
        assert waits.wait(10)
        while True:
            cursor.execute("SELECT pid " + WAITING)
            if cursor.fetchone():
                break
            assert slower.is_alive()
        outbox.record_stuck_accounts()
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        slower.join(10)
    assert Event.objects.filter(type="signup.needs_staff").count() == 1
