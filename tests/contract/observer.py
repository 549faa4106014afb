"""Sees to it that no call to any v3 sandbox of this process breaks the vendor's contract unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from provisioning.sandbox.faults import NO_FAULT, Fault
from provisioning.sandbox.messages import Answer, Request
from provisioning.sandbox.provider import Provider, Reply
from provisioning.sandbox.v3 import V3
from tests.contract.contract import violations

found: list[str] = []
"""What has broken the contract since the last test."""

_call = threading.local()
_reply, _meet = Provider.reply, Provider._meet


def _observed_meet(provider: Provider, fault: Fault, truth: Answer) -> Reply:
    _call.is_fault = fault.tells is not NO_FAULT.tells or not fault.carried_out
    return _meet(provider, fault, truth)


def _observed_reply(provider: Provider, request: Request) -> Reply:
    _call.is_fault = False
    reply = _reply(provider, request)
    if isinstance(provider._dialect, V3):
        found.extend(violations(request, reply.answer, _call.is_fault))
    return reply


Provider.reply = _observed_reply  # type: ignore[assignment, method-assign]
Provider._meet = _observed_meet  # type: ignore[assignment, method-assign]


@pytest.fixture(autouse=True)
def the_contract_is_kept() -> Iterator[None]:
    """Fails a test in which a call to a v3 sandbox broke the contract."""
    found.clear()
    yield
    assert not found, "\n".join(found)
