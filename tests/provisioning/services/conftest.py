from datetime import timedelta

import pytest
from pytest_django import Settings

from provisioning.gateway import permits
from provisioning.mirror import passes
from provisioning.models import Gateway
from provisioning.services import claims


@pytest.fixture(autouse=True)
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider without limits, and settings without delays."""
    settings.CONSTANT_CONTACT_RATE = 1_000_000.0
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1_000_000
    settings.CONSTANT_CONTACT_TIMEOUT = 10.0
    settings.PROVISION_RECHECK = 0.0
    monkeypatch.setattr(permits, "LATE", 60.0)
    # The test's own transaction uses the one connection that a worker would close.
    monkeypatch.setattr(claims, "close_old_connections", lambda: None)


@pytest.fixture(autouse=True)
def no_rest_between_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass may follow at once, however long the last one took on this machine."""
    monkeypatch.setattr(passes, "MAX_PASS_BACK_OFF", timedelta())


@pytest.fixture
def calibrated(db: None) -> None:
    """Record that v3's list shows usernames."""
    Gateway.objects.update_or_create(pk=1, defaults={"list_names": Gateway.ListNames.USERNAME})
