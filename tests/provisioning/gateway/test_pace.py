"""Three worker processes share the rate."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.db import connection, transaction

from provisioning import gateway
from provisioning.gateway.permits import AHEAD, LATE
from provisioning.models import Account, Worker
from provisioning.sandbox import Server
from tests.checkout import ROOT
from tests.conftest import Say
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import provider, until
from tests.provisioning.work import database_url, sign_up

pytestmark = pytest.mark.django_db


class Clocked(Server):
    """Records in `arrivals` when the kernel received each call, however busy this process was."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.arrivals: list[float] = []
        self.RequestHandlerClass: Any = type("Clocked", (_Clocked, self.RequestHandlerClass), {})


class _Clocked(BaseHTTPRequestHandler):
    server: Clocked

    def handle_one_request(self) -> None:
        for _, _, stamp in self.connection.recvmsg(1, 64, socket.MSG_PEEK)[1]:
            seconds, nanoseconds = struct.unpack("ll", stamp)
            self.server.arrivals.append(seconds + nanoseconds / 1e9)
        super().handle_one_request()


SO_TIMESTAMPNS = 35
"""Linux: the time of arrival with each message; see socket(7)."""


@contextmanager
def three_workers(rate: int) -> Iterator[Clocked]:
    """Worker processes on the tests' database, with a slow provider."""
    with Clocked(provider(latency=0.3)) as server:
        environment = os.environ | {
            "DATABASE_URL": database_url(),
            "CONSTANT_CONTACT_URL": server.url,
            "CONSTANT_CONTACT_RATE": str(rate),
        }
        command = [sys.executable, str(ROOT / "manage.py"), "provision", "--threads=8"]
        workers = [subprocess.Popen(command, env=environment) for _ in range(3)]
        try:
            until(lambda: Worker.objects.count() == 3)
            yield server
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(timeout=PATIENCE)


def sign_ups(number: int) -> None:
    Account.objects.all().delete()
    with transaction.atomic():
        for each in range(number):
            sign_up(username=f"anna{each}")


@pytest.mark.pace
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rate", [4, 10])
def test_three_workers_together_use_the_rate_and_never_exceed_it(rate: int, say: Say) -> None:
    """A busy machine may miss permits, so only one of three runs must use the full rate; none may exceed it."""
    for _ in range(3):
        closest, used = measured(rate)
        say(f"{connection.vendor}, {rate} a second: {used:.1%} used, {rate + 1} calls take {closest:.3f} s or more")
        assert closest > 1
        if used >= 0.95:
            return
        if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
            pytest.skip("This machine is too busy with other things to use the rate, but the rate was kept.")
    pytest.fail("Less than 95 % of the rate was used.")


def measured(rate: int) -> tuple[float, float]:
    """Return the shortest time for one call more than the rate allows, and the share of the rate that was used."""
    with three_workers(rate) as server:
        sign_ups(8 * rate)
        until(lambda: len(server.arrivals) == 8 * rate)
    arrivals = sorted(server.arrivals)
    closest = min(later - sooner for sooner, later in zip(arrivals, arrivals[rate:], strict=False))
    steady = arrivals[2:]  # The first one found the gateway idle.
    return closest, (len(steady) - 1) / (steady[-1] - steady[0]) / rate


@pytest.mark.pace
@pytest.mark.django_db(transaction=True)
def test_three_workers_stop_together_and_resume_together() -> None:
    with three_workers(20) as server:
        sign_ups(50)
        until(lambda: len(server.arrivals) > 10)
        gateway.stop("for a test")
        stopped_at = time.time()
        until(lambda: time.time() > stopped_at + 1)
        late = [arrival for arrival in server.arrivals if arrival > stopped_at + AHEAD.total_seconds() + LATE]
        assert not late
        gateway.resume()
        resumed_at = time.time()
        until(lambda: server.arrivals[-1] > resumed_at)
        assert server.arrivals[-1] < resumed_at + 1
