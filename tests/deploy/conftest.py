"""Real reverse proxies with the configurations in deploy/. Tests of a missing one are skipped, or fail in CI."""

from collections.abc import Iterator

import pytest

from tests.browser.installation import Installation
from tests.deploy.proxy import Caddy, Nginx, Proxy
from tests.installed import installed


@pytest.fixture(scope="session", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def program(request: pytest.FixtureRequest) -> type[Proxy]:
    chosen: type[Proxy] = request.param
    return chosen


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory, program: type[Proxy]) -> Iterator[tuple[Installation, Proxy]]:
    """Start an installation and a proxy in front of it."""
    directory = tmp_path_factory.mktemp("behind")
    with (
        Installation(
            directory, TRUSTED_PROXIES="127.0.0.1", ABUSE_PROTECTION="true", SECURE_SSL_REDIRECT="true"
        ) as site,
        installed(program, directory, site.url.removeprefix("http://")) as proxy,
    ):
        yield site, proxy
