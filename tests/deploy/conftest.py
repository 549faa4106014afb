"""A real nginx with deploy/nginx.conf. Without nginx, these tests are skipped, or fail in CI."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.installation import Installation
from tests.deploy.nginx import Nginx


def start_nginx(directory: Path, upstream: str) -> Nginx:
    try:
        return Nginx(directory, upstream)
    except FileNotFoundError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Nginx]]:
    """Start an installation and an nginx in front of it."""
    directory = tmp_path_factory.mktemp("behind")
    with (
        Installation(
            directory, TRUSTED_PROXIES="127.0.0.1", ABUSE_PROTECTION="true", SECURE_SSL_REDIRECT="true"
        ) as site,
        start_nginx(directory, site.url.removeprefix("http://")) as nginx,
    ):
        yield site, nginx
