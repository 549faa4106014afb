"""A pytest plugin that fails a test in which a call to a v3 sandbox violates the vendor's contract.

Sandboxes in this process are observed here. `manage.py sandbox` in another process is observed by
`subprocess/sitecustomize.py`.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.sandbox.faults import NO_FAULT, Fault
from provisioning.sandbox.messages import Answer, Request
from provisioning.sandbox.provider import Provider, Reply
from provisioning.sandbox.v3 import V3
from tests.contract.contract import violations

found: list[str] = []
"""Violations of the contract in this process since the last test."""
report_to: Path | None = None
"""The file to which another process, which has no test to fail, appends violations, one a line."""

_call = threading.local()
_reply, _apply = Provider.reply, Provider._apply


def _observed_apply(provider: Provider, fault: Fault, answer: Answer) -> Reply:
    _call.is_fault = fault.respond is not NO_FAULT.respond or not fault.is_carried_out
    return _apply(provider, fault, answer)


def _observed_reply(provider: Provider, request: Request) -> Reply:
    _call.is_fault = False
    reply = _reply(provider, request)
    if isinstance(provider._dialect, V3):
        for violation in violations(request, reply.answer, _call.is_fault):
            found.append(violation)
            if report_to:
                with report_to.open("a") as file:
                    file.write(f"{violation}\n")
    return reply


Provider.reply = _observed_reply  # type: ignore[assignment, method-assign]
Provider._apply = _observed_apply  # type: ignore[assignment, method-assign]


@pytest.fixture(scope="session")
def contract_violations() -> Iterator[Path]:
    """Return the file to which sandboxes in other processes report."""
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as environment:
        file = Path(directory, "violations")
        file.touch()
        environment.setenv("CONTRACT_VIOLATIONS", str(file))
        environment.setenv("PYTHONPATH", str(Path(__file__).parent / "subprocess"), prepend=os.pathsep)
        yield file


@pytest.fixture(autouse=True)
def check_contract(contract_violations: Path) -> Iterator[None]:
    """Fail the test if a call to a v3 sandbox violated the contract."""
    found.clear()
    yield
    told = found + contract_violations.read_text().splitlines()
    contract_violations.write_text("")
    assert not told, "\n".join(told)
