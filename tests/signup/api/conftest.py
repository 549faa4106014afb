from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.core.cache import cache

from tests.browser.installation import Installation
from tests.signup.api.partner import Partner


@pytest.fixture(autouse=True)
def forget_counts() -> Iterator[None]:
    """Forget the counts of earlier tests, which are cached for a moment."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def partner(db: None) -> Partner:
    return Partner()


@dataclass(frozen=True)
class Site:
    """A running installation, and a key that may do everything."""

    installation: Installation
    key: str

    @property
    def url(self) -> str:
        return self.installation.url


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Installation(tmp_path_factory.mktemp("api")) as installation:
        scopes = [f"--scope={scope}" for scope in ("create", "read", "correct", "staff")]
        yield Site(installation, installation.manage("api_key", "create", "Website", *scopes).strip())
