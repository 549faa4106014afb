"""Claims of accounts that are due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from provisioning import services
from provisioning.constant_contact import Answer
from provisioning.models import Attempt
from provisioning.services import workers

Kind, Outcome = Attempt.Kind, Attempt.Outcome
LEASE = timedelta(seconds=60)
HOUR = timedelta(hours=1)
Script = Callable[..., None]


@pytest.fixture
def provider_answers(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets the answer to every call, without a provider. `meanwhile` is called first."""

    def script(answer: Answer, meanwhile: Callable[[], Any] = lambda: None) -> None:
        def call(*_: Any) -> Answer:
            meanwhile()
            return answer

        monkeypatch.setattr(workers, "client", lambda: SimpleNamespace(create=call, list_accounts=call))

    return script


def claimed() -> services.AccountClaim:
    claim = services.claim_account()
    assert claim is not None
    return claim
