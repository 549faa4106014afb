from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from provisioning.gateway import permits
from signup.doctor import Finding, Level
from tests.provisioning.conftest import sandbox as sandbox

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "LATE", 60.0)


def levels(findings: Iterator[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def doctor(*arguments: str) -> int:
    """Run it on this machine, without a public address, and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", f"--url={NOWHERE}", *arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code
