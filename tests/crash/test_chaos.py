"""Chaos: customers sign up while everything that can be killed is killed at random, and the provider fails.

It gives odd answers, goes down, and lists accounts late, and some usernames belong to somebody else.

CHAOS_SIGN_UPS and CHAOS_SECONDS in the environment make it longer. CHAOS_SEED repeats a failed run.
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
from django.conf import settings

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
"""Seconds within which a customer who keeps trying gets through, and an account is created, after leases and delays."""

FOR_STAFF = {"401", "inactive", "inactive-html", "over-quota", "token-end"}
"""Faults that stop all calls until staff fix something, or until the next day."""
UNUSABLE = {"301", "302", "307", "403-html", "404", "405", "406", "415"}
"""Faults that also stop all calls if three accounts in a row get them, which may happen here."""
PASSING = sorted(FAULTS.keys() - FOR_STAFF - UNUSABLE)
DOWN = ["502", "503", "hang-before", "reset-before"]
"""The faults that all calls get while the provider is down."""
LAG = 4.0
"""Seconds after which an account is listed."""
TAKEN = "This username is taken"
ELSE = "Else Where"
"""The organization of accounts that are older than this page."""
QUICK_WORKER = """
import django
django.setup()
from django.core.management import execute_from_command_line
from provisioning.gateway import breaker
breaker.FIRST_OUTAGE_PAUSE /= 60
breaker.MAX_OUTAGE_PAUSE /= 60
execute_from_command_line(["manage.py", "provision", "--threads=8"])
"""
"""A worker for which an outage of seconds is like one of minutes."""
CSRF = "x" * 32
Outcome = Attempt.Outcome


@dataclass(frozen=True)
class Customer:
    username: str
    submission: uuid.UUID
    comes_at: float
    """Seconds after the beginning."""
    times: int
    """How often the form is sent at once."""
    is_late: bool
    """Whether somebody else has the username already."""


class Page(NamedTuple):
    """A progress page, and the cookies of the browser that it belongs to."""

    path: str
    cookies: str


class Site:
    """A web server, workers, and a database, each of which can be killed and restarted."""

    def __init__(self, checkout: Checkout, database: PostgreSQL | None) -> None:
        self.errors: Counter[str] = Counter()
        self._port = free_port()
        self._checkout = checkout
        self._running: dict[str, Program] = {}
        self._commands: dict[str, tuple[str, ...]] = {"web": ("-m", "gunicorn", f"--bind=127.0.0.1:{self._port}")}
        self._commands |= {f"worker {n}": ("-c", QUICK_WORKER) for n in range(WORKERS)}
        for name in self._commands:
            self._start(name)
        self.ways_to_fail: dict[str, Callable[[], None]] = {name: self._restarts(name) for name in self._commands}
        if database:
            self.ways_to_fail["database"] = database.restart

    def wait_for_the_list(self) -> None:
        """Wait until the list was read once, so that older accounts can be told from new ones."""
        deadline = time.monotonic() + PATIENCE
        while not any("list read" in self._running[name].said for name in self._commands):
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def ask(self, method: str, path: str, body: str, cookies: str) -> tuple[Any, str]:
        """Return the response's headers and body. Retries, like a customer, after errors and without a response."""
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
            program.find("Listening at|worker started")  # Otherwise, a program on a slow machine would never start.
            os.killpg(program.process.pid, signal.SIGKILL)  # Including gunicorn's children.
            program.process.wait()
            self._start(name)

        return restart


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 4 * PATIENCE)
@pytest.mark.parametrize(("engine", "api"), [("sqlite", "v2"), ("postgresql", "v3")], indirect=["api"])
def test_no_sign_up_is_lost_duplicated_or_stuck(
    engine: str, api: str, checkout: Checkout, request: pytest.FixtureRequest, say: Say
) -> None:
    chance = Random(SEED)
    customers = sorted((customer(number, chance) for number in range(SIGN_UPS)), key=lambda each: each.comes_at)
    database: PostgreSQL | None = request.getfixturevalue("database") if engine == "postgresql" else None
    with Server(provider()) as server:
        server.provider.hang, server.provider.delay, server.provider.trickle = 3.0, 1.0, 0.1
        server.provider.list_lag = LAG
        late = {each.username: server.provider.add_account(each.username, ELSE) for each in customers if each.is_late}
        site = Site(set_up(checkout, database, server), database)
        site.wait_for_the_list()
        with fail_at_random(site.ways_to_fail | {"provider": goes_down(server, chance)}, chance) as failures:
            pages = sign_up(customers, site)
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(partial(wait_for_the_end, site, began + PATIENCE), chain.from_iterable(pages.values())))
        waited = time.monotonic() - began
    say(
        f"{engine}, {api}, CHAOS_SEED={SEED}: {SIGN_UPS} sign-ups in {SECONDS:.0f} s, {len(late)} of them late, "
        f"failed {dict(failures)}, {len(server.provider.calls)} calls; customers met {dict(site.errors)}; "
        f"settled {waited:.0f} s after the last"
    )
    accounts, attempts = stored(checkout)
    ends = {name: Account.State.REJECTED if name in late else Account.State.CREATED for name in attempts}
    assert not [(attempts[name], each["state"]) for name, each in accounts.items() if each["state"] != ends[name]]
    assert {name: account["account_id"] for name, account in accounts.items() if name not in late} == {
        name: account.id for name, account in server.provider.accounts.items() if name not in late
    }
    assert not any(accounts[name]["account_id"] for name in late if name in accounts)
    # A form sent again after its account was created leads to the same page, which also says that it was sent before.
    assert {name: {page.path.partition("?")[0] for page in own} for name, own in pages.items()} == {
        name: {f"/signup/{account['reference']}/"} for name, account in accounts.items()
    }
    posts = Counter(call.username for call in server.provider.calls if call.method == "POST")
    for name, history in attempts.items():
        assert posts[name] <= sum(attempt["kind"] == Attempt.Kind.CREATE for attempt in history), history
        assert not any(starts_blindly(after, before) for before, after in pairwise(history)), history


def starts_blindly(attempt: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an account is sent although the previous attempt doesn't prove that it does not exist."""
    proves_absence = {Outcome.ABSENT, Outcome.UNSENT, Outcome.NOT_DONE, Outcome.UNUSABLE}
    return attempt["kind"] == Attempt.Kind.CREATE and before["outcome"] not in proves_absence


def customer(number: int, chance: Random) -> Customer:
    name = chance.choice([chance.choice(PASSING), "customer"])
    times, is_late = chance.choice([1, 1, 3]), chance.random() < 0.2
    return Customer(f"{name}.customer{number}", uuid.UUID(int=number), chance.uniform(0, SECONDS), times, is_late)


def goes_down(server: Server, chance: Random) -> Callable[[], None]:
    def go_down() -> None:
        server.provider.down = chance.choice(DOWN)
        time.sleep(chance.uniform(3, 9))
        server.provider.down = ""

    return go_down


def set_up(checkout: Checkout, database: PostgreSQL | None, server: Server) -> Checkout:
    checkout.environment = os.environ | {
        "DATABASE_URL": database.url if database else "sqlite:///db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "signup.settings",
        "CONSTANT_CONTACT_API": settings.CONSTANT_CONTACT_API,
        "CONSTANT_CONTACT_URL": server.url,
        "CONSTANT_CONTACT_TOKEN_URL": server.token_url,
        "CONSTANT_CONTACT_LIST_HOURS": "24",
        "CONSTANT_CONTACT_RATE": "50",
        "CONSTANT_CONTACT_TIMEOUT": "1",
        "PROVISION_LEASE": "11",
        "PROVISION_RECHECK": "1",
    }
    for command in (["migrate"], ["collectstatic", "--no-input"]):
        checkout.run("manage.py", *command).check_returncode()
    return checkout


@contextmanager
def fail_at_random(ways_to_fail: dict[str, Callable[[], None]], chance: Random) -> Iterator[Counter[str]]:
    """Make things fail at random in this context, one after the other. Yields how often each did."""
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
    """Send each customer's form. Return username → the progress pages that it led to.

    There are none if the page says that the username is taken, because somebody else's account is in the list.
    """
    pages: dict[str, set[Page]] = defaultdict(set)
    began = time.monotonic()

    def send(customer: Customer) -> None:
        time.sleep(max(0.0, began + customer.comes_at - time.monotonic()))
        entered = {"username": customer.username, "submission": customer.submission, "csrfmiddlewaretoken": CSRF}
        entered["organization_name"] = f"Customer {customer.submission.int}"
        headers, text = site.ask("POST", "/", urlencode(SIGN_UP | entered), f"__Host-csrftoken={CSRF}")
        if customer.is_late and TAKEN in text:
            return
        assert "Location" in headers, text
        cookies = "; ".join(cookie.partition(";")[0] for cookie in headers.get_all("Set-Cookie"))
        pages[customer.username].add(Page(headers["Location"], cookies))

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(send, [customer for customer in customers for _ in range(customer.times)]))
    return pages


def wait_for_the_end(site: Site, give_up: float, page: Page) -> None:
    """Wait until the account is created, or rejected if somebody else has its username."""
    while time.monotonic() < give_up:
        status = site.ask("GET", f"{page.path}status/", "", page.cookies)[1]
        if "created" in status or "rejected" in status:
            break
        time.sleep(0.5)


def stored(checkout: Checkout) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return what is stored: username → account, and username → attempts in order."""
    dump = checkout.run("manage.py", "dumpdata", "provisioning.account", "provisioning.attempt")
    rows = sorted(json.loads(dump.stdout), key=lambda row: int(row["pk"]))
    accounts = {row["fields"]["username"]: row["fields"] for row in rows if row["model"] == "provisioning.account"}
    attempts: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row["model"] == "provisioning.attempt":
            attempts[row["fields"]["username"]].append(row["fields"])
    return accounts, attempts
