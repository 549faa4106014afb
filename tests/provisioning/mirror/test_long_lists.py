"""Reading a long list does not delay new sign-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from provisioning import gateway
from provisioning.constant_contact import Answer, Meaning
from provisioning.gateway import permits
from provisioning.management.commands.provision import claim_job
from provisioning.models import Account, ListPass
from provisioning.services import workers
from tests.provisioning.mirror.conftest import entry, unanswered
from tests.provisioning.work import State, pass_time, sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
RATE = 4.0


class Clock:
    """A clock that advances only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        pass_time(timedelta(seconds=seconds))


class Provider:
    """Answers at once, and records each call: a username, or the number of a page."""

    def __init__(self, pages: int) -> None:
        self._pages = pages
        self.calls: list[str | int] = []

    def create(self, properties: Mapping[str, Any], start: Callable[[], None]) -> Answer:
        start()
        self.calls.append(properties["username"])
        return Answer(meaning=Meaning.CREATED, account_id=properties["username"])

    def list_accounts(self, page: str, start: Callable[[], None]) -> Answer:
        start()
        number = int(page or 1)
        self.calls.append(number)
        listed = (entry(f"elder-{number}", f"elder-{number}"),)
        return Answer(meaning=Meaning.LISTED, entries=listed, next_page=str(number + 1) if number < self._pages else "")


@pytest.fixture
def clock(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Clock:
    settings.CONSTANT_CONTACT_RATE = RATE
    clock = Clock()
    monkeypatch.setattr(permits, "monotonic", lambda: clock.now)
    monkeypatch.setattr(permits, "sleep", clock.sleep)
    return clock


def work(clock: Clock) -> None:
    """Make the next call, when the rate allows it."""
    while True:
        try:
            job = claim_job()
        except gateway.RateLimited as limited:
            clock.sleep(limited.retry_in.total_seconds())
        else:
            assert job
            return job()


@pytest.mark.parametrize("pages", [100, pytest.param(400, marks=pytest.mark.long)])
def test_a_pass_over_many_pages_delays_no_sign_up_by_more_than_one_call(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    provider = Provider(pages)
    monkeypatch.setattr(workers, "client", lambda: provider)
    unanswered(username="waits-for-it")
    submitted: dict[str, tuple[int, float]] = {}
    waited: list[float] = []
    while not ListPass.objects.filter(outcome=ListPass.Outcome.COMPLETE).exists():
        if len(provider.calls) % 5 == 0:  # Every fifth call, so that sign-ups arrive at all points of the pages' turns.
            name = f"customer-{len(submitted)}"
            submitted[name] = len(provider.calls), clock.now
            sign_up(username=name)
        work(clock)
        if (last := provider.calls[-1]) in submitted:
            waited.append(clock.now - submitted[str(last)][1])

    assert [call for call in provider.calls if isinstance(call, int)] == list(range(1, pages + 1))
    assert Account.objects.filter(state=State.CREATED).count() == len(waited) >= pages / 5
    assert all(provider.calls.index(name) - before <= 1 for name, (before, _) in submitted.items())
    assert max(waited) <= 2 * permits.SLACK / RATE + permits.AHEAD.total_seconds()
