"""Makes the calls of due deliveries, beside a worker's other work.

One thread does everything with the database: it routes, claims, and settles. Calls are made on a pool of other threads,
which hold no database connection. Each endpoint has few calls in flight, and a failing one has only one, so an endpoint
that hangs delays no other.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.db import Error, connection
from django.db.models import Q
from django.db.models.functions import Now

from provisioning.database import describe
from provisioning.events import calls, deliveries
from provisioning.events.calls import Result
from provisioning.events.deliveries import Claim
from provisioning.events.models import Endpoint

log = logging.getLogger(__name__)

MAX_PER_ENDPOINT = 4
"""How many calls to one endpoint may be in flight in this process."""
THREADS = 32
MAX_FAILING = THREADS // 2
"""How many calls to failing endpoints may be in flight together."""
BUSY, IDLE = 0.05, 0.25
"""Seconds between two looks at the queue, while calls are in flight and while none are."""
FRESH = 1.0
"""Seconds after which the endpoints are read again."""
RECONNECT = 1.0
LAST_TRIES = 5.0
"""Seconds for which results are still stored after the end was requested, if the database fails."""

Done = tuple[Claim, Result]


class Deliverer:
    """Delivers until `ending` is set, and then settles the calls in flight."""

    def __init__(self, ending: threading.Event) -> None:
        self.ending = ending
        self._in_flight: Counter[int] = Counter()
        self._failing: set[int] = set()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._unsettled: list[Done] = []
        self._endpoints: list[Endpoint] = []
        self._is_any_on = False
        self._read_at = float("-inf")

    def run(self, *, once: bool = False) -> None:
        """Deliver. With `once`, end as soon as nothing is due."""
        with ThreadPoolExecutor(THREADS, "event") as pool:
            while not self.ending.is_set():
                is_busy = self._round(pool)
                if once and not is_busy:
                    break
                self._wait(BUSY if is_busy else IDLE)
            self._finish()

    def run_on_a_thread(self) -> None:
        """Deliver, and close this thread's database connection at the end."""
        try:
            self.run()
        finally:
            connection.close()

    def _round(self, pool: ThreadPoolExecutor) -> bool:
        """Settle what is done, and start what is due. Return whether anything is in flight or was started."""
        try:
            self._settle()
            if self._read_endpoints():
                deliveries.route()  # Also for paused endpoints.
                self._start(pool)
        except Error as error:
            log.error("event delivery blocked problem=%r", describe(error))
            connection.close()
            self.ending.wait(RECONNECT)
        except Exception:
            log.exception("delivering events failed; it is tried again")
            connection.close()
            self.ending.wait(RECONNECT)
        return bool(self._in_flight.total() or self._unsettled)

    def _read_endpoints(self) -> bool:
        """Read which endpoints may be called now. Return whether any is on."""
        if time.monotonic() > self._read_at + FRESH:
            is_backing_off = Q(backs_off_until__isnull=False, backs_off_until__gt=Now())
            on: list[Any] = list(Endpoint.objects.on().annotate(is_backing_off=is_backing_off))
            self._is_any_on, self._endpoints = bool(on), [each for each in on if not each.is_backing_off]
            self._failing = {each.pk for each in self._endpoints if each.failing_since}
            self._read_at = time.monotonic()
        return self._is_any_on

    def _start(self, pool: ThreadPoolExecutor) -> None:
        for endpoint in self._endpoints:
            if free := self._free(endpoint):
                for claim in deliveries.claim(endpoint, free):
                    self._in_flight[endpoint.pk] += 1
                    pool.submit(self._call, claim)

    def _free(self, endpoint: Endpoint) -> int:
        """Return how many more calls to this endpoint may start now."""
        if endpoint.pk in self._failing:
            others = sum(number for pk, number in self._in_flight.items() if pk in self._failing)
            return int(not self._in_flight[endpoint.pk] and others < MAX_FAILING)
        return max(0, min(MAX_PER_ENDPOINT - self._in_flight[endpoint.pk], THREADS - self._in_flight.total()))

    def _call(self, claim: Claim) -> None:
        result = calls.make(claim.call) if claim.call else Result(timedelta(), problem=claim.problem)
        self._done.put((claim, result))

    def _wait(self, seconds: float) -> None:
        """Wait for a result, but no longer than that."""
        with suppress(queue.Empty):
            self._unsettled.append(self._done.get(timeout=seconds))

    def _settle(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._unsettled.append(self._done.get_nowait())
        if self._unsettled:
            deliveries.settle(self._unsettled)
            for claim, result in self._unsettled:
                self._in_flight[claim.endpoint.pk] -= 1
                (self._failing.discard if result.is_delivered else self._failing.add)(claim.endpoint.pk)
                if result.is_gone or result.retry_after:
                    self._read_at = float("-inf")
            self._unsettled = []

    def _finish(self) -> None:
        """Settle the calls in flight. Their deadline ends them soon."""
        give_up = time.monotonic() + calls.DEADLINE + LAST_TRIES
        while self._in_flight.total() and time.monotonic() < give_up:
            self._wait(BUSY)
            try:
                self._settle()
            except Error as error:
                log.error("results of events can't be stored problem=%r", describe(error))
                connection.close()
                time.sleep(RECONNECT)


@contextmanager
def delivering(*, once: bool = False) -> Iterator[None]:
    """Deliver events on a thread while this context lasts. With `once`, deliver what is due at its end instead."""
    over = threading.Event()
    if once:
        yield
        Deliverer(over).run(once=True)
        return
    thread = threading.Thread(target=Deliverer(over).run_on_a_thread, name="events")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
