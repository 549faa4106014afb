"""`manage.py provision`: run a worker, which creates submitted accounts until it is told to end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error, connection

from provisioning import gateway, services
from provisioning.database import describe, limit_statements
from provisioning.events.calls import DEADLINE
from provisioning.events.deliverer import delivering
from provisioning.management import start_up, watchdog
from provisioning.signals import chores, worked

log = logging.getLogger(__name__)

BUSY, IDLE = 0.05, 0.1
"""Seconds between checks of the queue, while calls are in flight and while none are."""
PAGES = 1.0
"""Seconds between checks for a due page of the partner's list, while none is due."""
SWITCH = 0.001
"""Python's thread switch interval in seconds. It is short because the permit of a call that starts late expires."""
RECONNECT = 1.0
"""Seconds before the next try to reach an unreachable database."""
CHORES = 1.0
"""Seconds between rounds of chores, such as the heartbeat and taking over the accounts of dead workers."""
STANDSTILL = 90.0
"""Seconds without a round of chores after which the process is ended. No database call takes nearly as long."""
SETTLING = 10.0
"""Seconds that calls in flight may take beyond their timeout before a process that was told to end is ended."""


class Command(BaseCommand):
    requires_system_checks = []  # `start_up` runs them.
    help = "Create submitted accounts at Constant Contact. On SIGTERM, finish the calls in progress, then stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads", type=int, default=settings.PROVISION_THREADS, help="simultaneous calls (default: %(default)s)"
        )
        parser.add_argument("--once", action="store_true", help="exit once nothing is due")

    def handle(self, *, threads: int, once: bool, **options: Any) -> None:
        self.ending, self.chores_at, self.pages_at, self.problem = False, 0.0, 0.0, ""
        sys.setswitchinterval(SWITCH)
        limit_statements()
        connection.settings_dict["CONN_MAX_AGE"] = 0  # None is kept during a slow call.
        start_up.check()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.end)
        log.info("worker started name=%s threads=%s", self.name, threads)
        with suppress(Error):  # If the database is unreachable, the loop says so.
            services.retry_unsendable()
        with ThreadPoolExecutor(threads) as pool, delivering(once=once):
            self.work(pool, threads, once)
        with suppress(Error):  # If the database is unreachable, the missing heartbeat will show it.
            services.remove_worker(self.name)
        log.info("worker ended name=%s", self.name)

    def end(self, number: int, frame: Any) -> None:
        """On the first signal, settle calls in flight and end; on the second, end now and let the leases run out."""
        if self.ending:
            os._exit(1)
        self.ending = True
        services.workers.ending.set()
        watchdog.end_in(max(settings.CONSTANT_CONTACT_TIMEOUT, DEADLINE) + SETTLING)

    def work(self, pool: ThreadPoolExecutor, threads: int, once: bool) -> None:
        calls: set[Future[None]] = set()
        while not self.ending:
            calls = {call for call in calls if not call.done()}
            pause = BUSY if calls else IDLE
            try:
                self.do_chores()
                job = self.next_job(once) if len(calls) < threads else None
                if job:
                    self.problem = ""
                    calls.add(pool.submit(run, job))
                    continue
                if self.problem and not services.is_account_due():  # Otherwise, another worker meets the problem now.
                    self.problem = ""
            except gateway.CallNotPermitted as refusal:
                self.problem = ""
                if isinstance(refusal, gateway.RateLimited):
                    time.sleep(min(refusal.retry_in.total_seconds(), IDLE))
                    continue
            except Error as error:
                self.problem = describe(error)
                log.error("worker blocked problem=%r", self.problem)
                connection.close()
                pause = RECONNECT
            if once and not calls:
                return
            time.sleep(pause)

    def next_job(self, once: bool) -> Callable[[], None] | None:
        with_pages = once or time.monotonic() >= self.pages_at
        job = claim_job(with_pages=with_pages)
        if with_pages and job is None:
            self.pages_at = time.monotonic() + PAGES
        return job

    def do_chores(self) -> None:
        if time.monotonic() >= self.chores_at:
            watchdog.end_in(STANDSTILL)
            services.record_heartbeat(self.name, self.problem)
            services.expire()
            services.settle_complete_pass()
            services.purge()
            chores.send_robust(type(self), ending=services.workers.ending)
            self.chores_at = time.monotonic() + CHORES


def claim_job(*, with_pages: bool = True) -> Callable[[], None] | None:
    """Claim the next job: accounts come first, but every fourth call may read the partner's list."""
    if not with_pages:
        return _next_account()
    first, second = (_next_page, _next_account) if gateway.is_page_next() else (_next_account, _next_page)
    return first() or second()


def _next_account() -> Callable[[], None] | None:
    claim = services.claim_account()
    return partial(services.provision, claim) if claim else None


def _next_page() -> Callable[[], None] | None:
    claim = services.claim_page()
    return partial(services.read_page, claim) if claim else None


def run(job: Callable[[], None]) -> None:
    """Do one job on its thread, and close the thread's database connection afterwards."""
    started, failed = time.time_ns(), None
    try:
        job()
    except Exception as error:
        failed = error
        log.exception("job failed; its claim is left to expire")
    finally:
        connection.close()
        worked.send_robust(run, job=getattr(job, "func", job).__name__, started=started, error=failed)
