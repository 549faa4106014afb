"""The worker: `manage.py provision` creates what customers have submitted, until it is told to end."""

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
from provisioning.signals import chores

log = logging.getLogger(__name__)

BUSY, IDLE = 0.05, 0.1
"""Seconds between two looks at the queue, while there is work and while there is none."""
PAGES = 1.0
"""Seconds between two looks whether the partner's list is to be read, while it isn't."""
SWITCH = 0.001
"""Seconds after which a thread lets another one run: a call that starts late misses its slot."""
AWAY = 1.0
"""Seconds before a database that could not be reached is tried again."""
CHORES = 1.0
"""Seconds between two rounds of chores: the heartbeat, and what dead workers left behind."""


class Command(BaseCommand):
    help = "Create submitted accounts at Constant Contact. SIGTERM lets it settle what is in flight and end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, default=settings.PROVISION_THREADS, help="calls at the same time")
        parser.add_argument("--once", action="store_true", help="end when nothing is due")

    def handle(self, *, threads: int, once: bool, **options: Any) -> None:
        self.ending, self.chores_at, self.pages_at = False, 0.0, 0.0
        sys.setswitchinterval(SWITCH)
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.end)
        log.info("worker started name=%s threads=%s", self.name, threads)
        with ThreadPoolExecutor(threads) as pool:
            self.work(pool, threads, once)
        with suppress(Error):  # A database that is away learns of it by the missing heartbeat.
            services.sign_off(self.name)
        log.info("worker ended name=%s", self.name)

    def end(self, number: int, frame: Any) -> None:
        """The first signal lets what is in flight be settled; the second leaves it to the lease."""
        if self.ending:
            os._exit(1)
        self.ending = True
        services.workers.ending.set()

    def work(self, pool: ThreadPoolExecutor, threads: int, once: bool) -> None:
        calls: set[Future[None]] = set()
        while not self.ending:
            calls = {call for call in calls if not call.done()}
            pause = BUSY if calls else IDLE
            try:
                self.do_chores()
                if len(calls) < threads and (job := self.next_job(once)):
                    calls.add(pool.submit(run, job))
                    continue
            except gateway.RateLimited as rate:
                time.sleep(min(rate.retry_in.total_seconds(), IDLE))
                continue
            except gateway.CallNotPermitted:
                pass
            except Error as error:
                log.error("database unreachable error=%s", type(error).__name__)
                connection.close()
                pause = AWAY
            if once and not calls:
                return
            time.sleep(pause)

    def next_job(self, once: bool) -> Callable[[], None] | None:
        with_pages = once or time.monotonic() >= self.pages_at
        job = next_job(with_pages=with_pages)
        if with_pages and job is None:
            self.pages_at = time.monotonic() + PAGES
        return job

    def do_chores(self) -> None:
        if time.monotonic() >= self.chores_at:
            services.report(self.name)
            services.expire()
            services.settle_complete_pass()
            services.purge()
            chores.send_robust(type(self))
            self.chores_at = time.monotonic() + CHORES


def next_job(*, with_pages: bool = True) -> Callable[[], None] | None:
    """Claim what is due: an account to create first, but for every fourth call, which reads the partner's list."""
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
    """Do one job on a thread of its own, which holds no connection to the database afterwards."""
    try:
        job()
    except Exception:
        log.exception("job failed; what it held is left to its lease")
    finally:
        connection.close()
