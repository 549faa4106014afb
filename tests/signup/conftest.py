from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from tests.signup.accounts import give


@pytest.fixture(autouse=True)
def plain_static_files(settings: Settings) -> None:
    """Serve pages without a build step, so that no manifest of collected files is needed."""
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture
def page_of(client: Client) -> Callable[[Account], str]:
    """Return a function that makes an account this browser's own, and returns the URL of its page."""

    def address(account: Account) -> str:
        give(client, account)
        return f"/signup/{account.reference}/"

    return address
