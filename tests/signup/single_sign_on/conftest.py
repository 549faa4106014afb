import pytest
from django.core.cache import cache
from pytest_django import Settings

SECRET = "canary-link-key-" + "k" * 32


@pytest.fixture(autouse=True)
def single_sign_on(settings: Settings) -> None:
    """Configure single sign-on by signed links."""
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    settings.SIGNUP_LINK_KEY = SECRET


@pytest.fixture(autouse=True)
def no_failures_counted() -> None:
    cache.clear()
