from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from signup.single_sign_on import calls
from signup.single_sign_on.openid import metadata_cache
from tests.provisioning.constant_contact.peer import peer
from tests.signup.single_sign_on.provider import CLIENT, CLIENT_SECRET, Provider

SECRET = "canary-link-key-" + "k" * 32


@pytest.fixture(autouse=True)
def single_sign_on(settings: Settings) -> None:
    """Configure single sign-on by signed links."""
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    settings.SIGNUP_LINK_KEY = SECRET


@pytest.fixture(autouse=True)
def no_failures_counted() -> None:
    cache.clear()
    calls.concurrency.is_down = False


@pytest.fixture
def provider(settings: Settings) -> Iterator[Provider]:
    """Start a provider on a socket, and configure the page to use it."""
    metadata_cache.clear()
    started: list[Provider] = []
    with peer(lambda connection: started[0].say(connection)) as server:
        started.append(Provider(server))
        settings.OIDC_ISSUER = server.url
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT, CLIENT_SECRET
        yield started[0]
