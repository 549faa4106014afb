from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from provisioning.admin_site import sessions
from tests.provisioning.admin.conftest import admin_client, as_role, make, nothing_cached, quick_pages

__all__ = ["admin_client", "as_role", "make", "nothing_cached", "quick_pages"]

Passes = Callable[[timedelta], None]
LOGGED_OUT = "/admin/login/?next=/admin/"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Return a function that advances the clock, which is stopped from then on."""
    moved, start = timedelta(), timezone.now()

    def on(time: timedelta) -> None:
        nonlocal moved
        moved += time
        for module in (timezone, sessions):
            monkeypatch.setattr(module, "now", lambda: start + moved)

    return on


def is_in(client: Client) -> bool:
    """Whether this client is logged in to the admin."""
    response: Any = client.get("/admin/")
    assert response.status_code == 200 or response.headers["Location"] == LOGGED_OUT
    return bool(response.status_code == 200)
