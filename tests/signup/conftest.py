import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.staticfiles.finders import get_finders
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
def collected_static_files(settings: Settings, tmp_path: Path) -> None:
    """Write the manifest that `collectstatic` would write."""
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATIC_ROOT.mkdir()
    names = [name for finder in get_finders() for name, _storage in finder.list(["CVS", ".*", "*~"])]
    (settings.STATIC_ROOT / "staticfiles.json").write_text(json.dumps({"paths": dict.fromkeys(names)}))


@pytest.fixture
def page_of(client: Client) -> Callable[[Account], str]:
    """Return a function that makes an account this browser's own, and returns the URL of its page."""

    def address(account: Account) -> str:
        give(client, account)
        return f"/signup/{account.reference}/"

    return address
