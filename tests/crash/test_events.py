"""A worker is killed while it delivers events: none is lost, and a receiver that ignores repetitions sees each once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from provisioning.models import Account, Delivery, DeliveryAttempt, Event, Gateway, ListEntry, ListPass
from provisioning.sandbox import Server
from tests.conftest import Say
from tests.crash.worker import KILLED, Worker
from tests.provisioning.events.queue import an_event, endpoint
from tests.provisioning.events.queue import pass_time as pass_time_of_events
from tests.provisioning.events.receiver import Receiver
from tests.provisioning.sandbox.partner import provider
from tests.provisioning.work import State, account_in, pass_time

FEWEST = 25
"""A worker that delivers one event reaches more boundaries that concern it than this."""


@pytest.fixture
def receiver(sandbox: Server, settings: Settings) -> Iterator[Receiver]:
    """Start a receiver, with an endpoint for it."""
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.1"]
    cache.clear()
    with Receiver() as receiver:
        endpoint(receiver.url)
        yield receiver
    cache.clear()


def carry_on() -> None:
    """Let the leases end, and another worker finish the work."""
    for _ in range(5):
        pass_time(timedelta(days=1))
        pass_time_of_events(timedelta(hours=1))
        assert Worker("--once").end()[0] == 0
        if not Event.objects.filter(is_routed=False).exists() and not Delivery.objects.filter(state="waiting").exists():
            break


def everything_was_delivered(receiver: Receiver, where: str) -> None:
    """Check that each event was received, and that every call is on record."""
    calls = Counter(receiver.ids)
    assert calls.keys() == {event.webhook_id for event in Event.objects.all()}, where
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}, where
    assert calls.total() <= DeliveryAttempt.objects.count(), where


def concerns_events(boundary: str) -> bool:
    tables = ("event", "delivery", "deliveryattempt")
    return boundary.endswith(("connect", "send", "getresponse", "_commit", *tables))


def test_an_event_survives_the_death_of_its_worker(receiver: Receiver) -> None:
    """The most delicate boundaries; below are all of them."""
    an_event()
    status, names = Worker("--once").end()
    assert status == 0
    sent = names.index("before send")
    stored = [number for number, name in enumerate(names) if name.endswith("UPDATE deliveryattempt")]
    for dies_at in (sent, names.index("after getresponse"), stored[0], stored[-1]):
        an_event()
        assert Worker("--once", dies_at=dies_at + 1).end()[0] == KILLED
        carry_on()
        everything_was_delivered(receiver, names[dies_at])


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_event_is_lost_wherever_the_deliverer_dies(receiver: Receiver, say: Say) -> None:
    visited = Counter[str]()
    for dies_at in itertools.count(1):
        Event.objects.all().delete()
        receiver.received.clear()
        for _ in range(2):
            an_event()
        status, boundaries = Worker("--once", dies_at=dies_at).end()
        where = f"killed {boundaries[-1]}, number {dies_at}"
        carry_on()
        everything_was_delivered(receiver, where)
        if status != KILLED:
            break
        visited[boundaries[-1]] += 1
    delicate = sum(number for name, number in visited.items() if concerns_events(name))
    say(f"{connection.vendor}: {visited.total()} boundaries visited, {delicate} of them with events")
    assert delicate > FEWEST


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_each_move_is_told_once_wherever_the_worker_dies(receiver: Receiver, sandbox: Server, say: Say) -> None:
    visited = 0
    for dies_at in itertools.count(1):
        for model in (Account, Gateway, ListEntry, ListPass, Event):
            model.objects.all().delete()
        Gateway.objects.create(pk=1, list_names=Gateway.ListNames.USERNAME)
        sandbox.provider = provider()
        receiver.received.clear()
        account = account_in(State.QUEUED)
        status, boundaries = Worker("--once", dies_at=dies_at).end()
        where = f"killed {boundaries[-1]}, number {dies_at}"
        carry_on()
        account.refresh_from_db()
        assert account.state == State.CREATED, where
        everything_was_delivered(receiver, where)
        told = {received.id: received.event["type"] for received in receiver.received}
        assert list(told.values()) == ["signup.created"], where
        if status != KILLED:
            break
        visited += 1
    say(f"{connection.vendor}: {visited} boundaries visited, from the claim of an account to its event")
