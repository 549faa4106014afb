"""Chaos: customers sign up while everything that can be killed is killed at random, and the provider errs.

CHAOS_SIGN_UPS, CHAOS_SECONDS and CHAOS_SEED in the environment make it longer, or like one that went wrong.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from provisioning.models import Account, Attempt
from provisioning.sandbox import FAULTS, Server
from tests.checkout import Checkout, Program
from tests.conftest import Say
from tests.postgresql import PostgreSQL, free_port
from tests.provisioning.sandbox.partner import provider
from tests.provisioning.values import SIGN_UP

SIGN_UPS = int(os.environ.get("CHAOS_SIGN_UPS") or 200)
SECONDS = float(os.environ.get("CHAOS_SECONDS") or 30)
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6))
WORKERS = 3
PATIENCE = 120.0
"""Seconds within which a customer who keeps trying is heard, and an account is created: leases and times of grace."""

FOR_STAFF = {"401", "405", "406", "415", "inactive", "inactive-html", "over-quota", "token-end"}
"""Faults that stop all calls until staff mend something, or until the next day."""
PASSING = sorted(FAULTS.keys() - FOR_STAFF)
CSRF = "x" * 32


@dataclass(frozen=True)
class Customer:
    username: str
    submission: uuid.UUID
    comes_at: float
    """Seconds after the beginning."""
    times: int
    """How often the form is sent at once."""


class Page(NamedTuple):
    """A progress page, and the cookies of the browser that it belongs to."""

    path: str
    cookies: str


class Site:
    """Web server and workers, each of which can be killed and started again, on a database that can be, too."""

    def __init__(self, checkout: Checkout, database: PostgreSQL | None) -> None:
        self.errors: Counter[str] = Counter()
        self._port = free_port()
        self._checkout = checkout
        self._running: dict[str, Program] = {}
        self._commands = {"web": ("-m", "gunicorn", f"--bind=127.0.0.1:{self._port}")}
        self._commands |= {f"worker {n}": ("manage.py", "provision", "--threads=8") for n in range(WORKERS)}
        for name in self._commands:
            self._start(name)
        self.ways_to_fail: dict[str, Callable[[], None]] = {name: self._restarts(name) for name in self._commands}
        if database:
            self.ways_to_fail["database"] = database.restart

    def ask(self, method: str, path: str, body: str, cookies: str) -> tuple[Any, str]:
        """Headers and body of the answer, for which a customer tries again as long as there is none, or an error."""
        give_up = time.monotonic() + PATIENCE
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies}
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                text = response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.errors[type(error).__name__] += 1
            else:
                if response.status < 400:
                    return response.headers, text
                self.errors[str(response.status)] += 1
            finally:
                connection.close()
            assert time.monotonic() < give_up, self.errors
            time.sleep(0.1)

    def _start(self, name: str) -> None:
        self._running[name] = self._checkout.start(*self._commands[name])

    def _restarts(self, name: str) -> Callable[[], None]:
        def restart() -> None:
            program = self._running[name]
            program.find("Listening at|worker started")  # A slow machine would never get to work otherwise.
            os.killpg(program.process.pid, signal.SIGKILL)  # With the children that gunicorn has.
            program.process.wait()
            self._start(name)

        return restart


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 3 * PATIENCE)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_no_sign_up_is_lost_or_doubled_or_stuck(
    engine: str, checkout: Checkout, request: pytest.FixtureRequest, say: Say
) -> None:
    chance = Random(SEED)
    customers = sorted((customer(number, chance) for number in range(SIGN_UPS)), key=lambda each: each.comes_at)
    database: PostgreSQL | None = request.getfixturevalue("database") if engine == "postgresql" else None
    with Server(provider()) as server:
        server.provider.hang, server.provider.delay, server.provider.trickle = 3.0, 1.0, 0.1
        site = Site(set_up(checkout, database, server), database)
        with rage(site.ways_to_fail, chance) as failures:
            pages = sign_up(customers, site)
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(partial(wait_for_account, site, began + PATIENCE), chain.from_iterable(pages.values())))
        waited = time.monotonic() - began
    say(
        f"{engine}, CHAOS_SEED={SEED}: {SIGN_UPS} sign-ups in {SECONDS:.0f} s, killed {dict(failures)}, "
        f"{len(server.provider.calls)} calls; customers met {dict(site.errors)}; settled {waited:.0f} s after the last"
    )
    accounts, attempts = stored(checkout)
    assert not [attempts[name] for name, account in accounts.items() if account["state"] != Account.State.CREATED]
    assert {name: account["account_id"] for name, account in accounts.items()} == {
        name: account.id for name, account in server.provider.accounts.items()
    }
    assert {name: {page.path for page in own} for name, own in pages.items()} == {
        name: {f"/signup/{account['reference']}/"} for name, account in accounts.items()
    }
    posts = Counter(call.username for call in server.provider.calls if call.method == "POST")
    for name, history in attempts.items():
        assert posts[name] <= sum(attempt["kind"] == Attempt.Kind.CREATE for attempt in history), history
        assert not any(starts_blindly(after, before) for before, after in pairwise(history)), history


def starts_blindly(attempt: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an account is sent although the attempt before does not say that it surely does not exist."""
    surely = before["outcome"] in {Attempt.Outcome.ABSENT, Attempt.Outcome.NOT_DONE}
    return attempt["kind"] == Attempt.Kind.CREATE and not surely


def customer(number: int, chance: Random) -> Customer:
    name = chance.choice([chance.choice(PASSING), "customer"])
    return Customer(f"{name}.{number}", uuid.UUID(int=number), chance.uniform(0, SECONDS), chance.choice([1, 1, 3]))


def set_up(checkout: Checkout, database: PostgreSQL | None, server: Server) -> Checkout:
    checkout.environment = os.environ | {
        "DATABASE_URL": database.url if database else "sqlite:///db.sqlite3",
        "CONSTANT_CONTACT_URL": server.url,
        "CONSTANT_CONTACT_RATE": "50",
        "CONSTANT_CONTACT_TIMEOUT": "1",
        "PROVISION_LEASE": "11",
        "PROVISION_RECHECK": "1",
    }
    for command in (["migrate"], ["collectstatic", "--no-input"]):
        checkout.run("manage.py", *command).check_returncode()
    return checkout


@contextmanager
def rage(ways_to_fail: dict[str, Callable[[], None]], chance: Random) -> Iterator[Counter[str]]:
    """Within it things fail at random, one after the other; yields how often each did."""
    failures: Counter[str] = Counter()
    over = threading.Event()

    def fail() -> None:
        while not over.wait(chance.uniform(0, 3)):
            name = chance.choice(list(ways_to_fail))
            ways_to_fail[name]()
            failures[name] += 1

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        yield failures
    finally:
        over.set()
        thread.join()


def sign_up(customers: list[Customer], site: Site) -> dict[str, set[Page]]:
    """Send each customer's form; user name → the progress pages that it led to."""
    pages: dict[str, set[Page]] = defaultdict(set)
    began = time.monotonic()

    def send(customer: Customer) -> None:
        time.sleep(max(0.0, began + customer.comes_at - time.monotonic()))
        entered = {"username": customer.username, "submission": customer.submission, "csrfmiddlewaretoken": CSRF}
        headers, text = site.ask("POST", "/", urlencode(SIGN_UP | entered), f"__Host-csrftoken={CSRF}")
        assert "Location" in headers, text
        cookies = "; ".join(cookie.partition(";")[0] for cookie in headers.get_all("Set-Cookie"))
        pages[customer.username].add(Page(headers["Location"], cookies))

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(send, [customer for customer in customers for _ in range(customer.times)]))
    return pages


def wait_for_account(site: Site, give_up: float, page: Page) -> None:
    while "created" not in site.ask("GET", f"{page.path}status/", "", page.cookies)[1] and time.monotonic() < give_up:
        time.sleep(0.5)


def stored(checkout: Checkout) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """What the database holds: user name → account, and user name → attempts in their order."""
    dump = checkout.run("manage.py", "dumpdata", "provisioning.account", "provisioning.attempt")
    rows = sorted(json.loads(dump.stdout), key=lambda row: int(row["pk"]))
    accounts = {row["fields"]["username"]: row["fields"] for row in rows if row["model"] == "provisioning.account"}
    attempts: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row["model"] == "provisioning.attempt":
            attempts[row["fields"]["username"]].append(row["fields"])
    return accounts, attempts
