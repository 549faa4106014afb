"""Any sequence of events, checked by its result at the provider: each sign-up has one account, which is its own."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as thoroughness
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import Settings

from tests.provisioning.states.machine import Machine

pytestmark = pytest.mark.django_db


@pytest.mark.slow
@pytest.mark.parametrize("runs", [6, pytest.param(100, marks=pytest.mark.long)])
def test_no_sequence_of_events_breaks_a_promise(runs: int, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONSTANT_CONTACT_RATE = 1e9
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1_000_000
    settings.CONSTANT_CONTACT_LIST_HOURS = 24
    settings.PROVISION_RECHECK = 0.0
    run_state_machine_as_test(
        partial(Machine, settings, monkeypatch),  # type: ignore[arg-type]
        settings=thoroughness(
            max_examples=runs, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
