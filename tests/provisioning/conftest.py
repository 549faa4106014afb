from collections.abc import Iterator

import pytest
from pytest_django import Settings

from provisioning.constant_contact import v3
from provisioning.sandbox import Server
from tests.provisioning.sandbox.partner import provider


@pytest.fixture
def sandbox(settings: Settings, api: str) -> Iterator[Server]:
    """Start a new sandbox with the credentials in the settings, and point the settings at it."""
    for tokens in v3.TOKENS.values():  # A port may be reused, but a new sandbox doesn't know old tokens.
        tokens.token = ""
    with Server(provider()) as server:
        settings.CONSTANT_CONTACT_URL, settings.CONSTANT_CONTACT_TOKEN_URL = server.url, server.token_url
        yield server
