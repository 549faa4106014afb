"""Fixtures for all of these tests: a sandbox, and no waiting."""

import pytest
from pytest_django import Settings

from provisioning.gateway import permits
from signup import health
from tests.provisioning.conftest import sandbox as sandbox
from tests.signup.conftest import plain_static_files as plain_static_files
from tests.signup.test_health import unshared as unshared


@pytest.fixture(autouse=True)
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONSTANT_CONTACT_RATE = 1000.0
    monkeypatch.setattr(permits, "LATE", 60.0)
    monkeypatch.setattr(health, "MAX_LOCKED", 1)
