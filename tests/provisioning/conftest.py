from collections.abc import Iterator

import pytest
from pytest_django import Settings

from provisioning.constant_contact import v3
from provisioning.sandbox import Server
from tests.provisioning.sandbox.partner import provider


@pytest.fixture
def sandbox(settings: Settings, api: str) -> Iterator[Server]:
    """A fresh stand-in provider that knows this configuration's credentials, and that the configuration points at."""
    for tokens in v3._tokens.values():  # A port comes again, but not the provider that gave them.
        tokens.token = ""
    with Server(provider()) as server:
        settings.CONSTANT_CONTACT_URL, settings.CONSTANT_CONTACT_TOKEN_URL = server.url, server.token_url
        yield server
