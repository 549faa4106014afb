"""Ten thousand events for ten endpoints, one of which hangs: the others get theirs soon all the same.

EVENTS and EVENTS_PER_SECOND in the environment change how many there are.
"""

from __future__ import annotations

import os
import socket
import time
from statistics import quantiles

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from provisioning.events.models import EventType
from provisioning.models import Delivery
from provisioning.sandbox import Server
from tests.conftest import Say
from tests.crash.worker import Worker
from tests.patience import PATIENCE
from tests.provisioning.events.queue import an_event, endpoint
from tests.provisioning.events.receiver import Receiver
from tests.provisioning.work import State, account_in

EVENTS = int(os.environ.get("EVENTS") or 10_000)
PER_SECOND = float(os.environ.get("EVENTS_PER_SECOND") or 16)
"""The provider allows four accounts a second, with two or three events each."""
SOON = 2.0
"""Seconds within which 95 of 100 events arrive."""


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_an_endpoint_that_hangs_delays_no_other(sandbox: Server, settings: Settings, say: Say) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.1"]
    cache.clear()
    with Receiver() as receiver, socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}/", name="dead", host="0.example.com")
        for number in range(1, 10):
            endpoint(receiver.url, name=f"CRM {number}", host=f"{number}.example.com")
        accounts = [
            account_in(State.CREATED, username=f"anna{number}", host=f"{number}.example.com") for number in range(10)
        ]
        worker = Worker(chores=1.0)
        began = time.monotonic()
        for number in range(EVENTS):
            account = accounts[number % 10]
            an_event(type=EventType.RECEIVED, account=account, host=account.host, data={"at": time.monotonic()})
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        expected = EVENTS - len(range(0, EVENTS, 10))
        give_up = time.monotonic() + PATIENCE
        while len(set(receiver.ids)) < expected and time.monotonic() < give_up:
            time.sleep(0.1)
        worker.process.terminate()
        worker.process.join(60)
    took = [received.at - received.event["data"]["at"] for received in receiver.received]
    percentiles = quantiles(took, n=100)
    say(
        f"{connection.vendor}: {len(took)} of {EVENTS} events in {time.monotonic() - began:.0f} s; "
        f"median {percentiles[49]:.2f} s, p95 {percentiles[94]:.2f} s, p99 {percentiles[98]:.2f} s, "
        f"slowest {max(took):.2f} s; {Delivery.objects.filter(tries__gt=0, endpoint__name='dead').count()} to the dead "
        "endpoint were tried"
    )
    assert len(set(receiver.ids)) == len(receiver.ids) == expected
    assert percentiles[94] < SOON
