import time
from collections.abc import Callable, Iterator

import pytest

from provisioning.sandbox import Server
from tests.provisioning.sandbox.partner import Partner, partner_of


@pytest.fixture
def partner(sandbox: Server) -> Iterator[Partner]:
    with partner_of(sandbox.url) as partner:
        yield partner


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves the clock forward by seconds, instead of waiting."""
    true_time = time.time

    def forward(seconds: float) -> None:
        monkeypatch.setattr("time.time", lambda: true_time() + seconds)

    return forward
