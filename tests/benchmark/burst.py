"""Let many customers sign up within minutes: `python -m tests.benchmark.burst [CUSTOMERS SECONDS] [--postgresql]`.

Each customer comes from a different network, opens the form, sends it, and polls its state as often as the page does,
which fetches itself again whenever the state has changed, and every fourth time.
The requests come through kept connections, as those of a reverse proxy do.
Abuse protection is on, and a worker creates the accounts at the sandbox on this machine. Each line is a kind of
request: how many were made, how many failed, and the median and the 99th percentile in milliseconds. Then the accounts
are counted by state. The last line compares what customers in line were told with how long they waited until their
page knew, which asks after every quarter of the time waited so far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode, urlsplit

import tests.environment  # noqa: F401
from tests.benchmark.__main__ import say
from tests.benchmark.installation import Installation, describe_memory
from tests.postgresql import PostgreSQL
from tests.provisioning.values import SIGN_UP

TYPING = 3.0
"""Seconds between opening the form and sending it."""
LINGERING = 30.0
"""Seconds for which the last customers keep waiting."""
ESTIMATE, UNITS = re.compile(r"in about (\d+)\W+(minute|hour)"), {"minute": 60, "hour": 3600}
MAILBOXES = [f"mail-{number}.example.com" for number in range(50)]


KEPT = 60.0
"""Seconds for which an unused connection is kept, as by the proxies in `deploy/`. The page keeps it for longer."""


@dataclass
class Proxy:
    """Connections to the page, kept and used again."""

    url: str
    unused: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def forward(self, request: bytes) -> tuple[str, str]:
        """Return the headers of the response, with the status line, and its text. Raises OSError."""
        reader, writer = await self.connect()
        writer.write(request)
        try:
            headers = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?im)^content-length: (\d+)", headers)
            text = await reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError from error
        self.unused.append((time.monotonic(), reader, writer))
        return headers, text.decode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.unused:
            since, reader, writer = self.unused.pop()
            if time.monotonic() - since < KEPT:
                return reader, writer
            writer.close()
        server = urlsplit(self.url)
        return await asyncio.open_connection(server.hostname, server.port)


@dataclass
class Burst:
    """The results: kind of request → the seconds each took, and how many had an unexpected response."""

    proxy: Proxy
    ends_at: float
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """What went wrong: an unexpected status, or a lost connection → how often."""
    states: Counter[str] = field(default_factory=Counter)
    estimates: list[float] = field(default_factory=list)
    """How long those who were created had waited, as a multiple of what they were told."""

    def lines(self) -> list[str]:
        lines = [f"{'':12} {'requests':>8} {'failed':>7} {'median':>10} {'p99':>10}"]
        for kind, took in self.seconds.items():
            took.sort()
            middle, last = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
            lines.append(f"{kind:12} {len(took):>8,} {self.failed[kind]:>7,} {middle:>7.0f} ms {last:>7.0f} ms")
        for counted in (self.failures, self.states):
            lines += filter(None, [", ".join(f"{number:,} {name}" for name, number in counted.most_common())])
        if len(self.estimates) > 1:
            few, usual, most = (f"{quantiles(self.estimates, n=10)[tenth]:.2f}" for tenth in (0, 4, 8))
            lines.append(f"waited, per time told: {usual} ({few} to {most} for 80% of {len(self.estimates):,})")
        return lines


class Customer:
    """A minimal browser, which keeps cookies."""

    def __init__(self, burst: Burst, number: int) -> None:
        self.burst, self.number, self.cookies = burst, number, dict[str, str]()
        self.address = ip_address(0x0B000000 + number * 256 + 7)

    async def sign_up(self) -> None:
        _location, page = await self.ask("form", "GET", "/", expected=200)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        await asyncio.sleep(TYPING)
        own = {
            "username": f"anna-{hidden.get('submission')}",
            "email": f"anna-{self.number}@{random.choice(MAILBOXES)}",
        }
        address, _page = await self.ask("sign-up", "POST", "/", urlencode({**SIGN_UP, **hidden, **own}), expected=302)
        if address:
            _location, page = await self.ask("page", "GET", address, expected=200)
            told, began = ESTIMATE.search(page), time.monotonic()
            shown = re.search(r'data-state="(\w+)"', page)
            state = await self.wait(address, shown[1] if shown else "not answered")
            if told and state == "created":
                waited = time.monotonic() - began
                self.burst.estimates.append(waited / (int(told[1]) * UNITS[told[2]]))

    async def wait(self, address: str, state: str) -> str:
        """Poll as static/signup.js does, from a `state` until one is final or the burst is over. Return the last."""
        pause, asked = 1, 0
        while time.monotonic() + pause < self.burst.ends_at:
            await asyncio.sleep(pause)
            _location, text = await self.ask("status", "GET", f"{address}status/", expected=200)
            told: dict[str, Any] = json.loads(text) if text.startswith("{") else {"state": state, "final": False}
            asked += 1
            if told["state"] != state or asked % 4 == 0:
                await self.ask("page", "GET", address, expected=200)
            state, pause = told["state"], told.get("ask_again_in", pause)
            if told["final"]:
                break
        self.burst.states[state] += 1
        return state

    async def ask(self, kind: str, method: str, path: str, body: str = "", *, expected: int) -> tuple[str, str]:
        """Return the final URL of the response, and its text."""
        head = {
            "Host": "plain.example.com",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "X-Forwarded-For": str(self.address),
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        began, headers, text = time.monotonic(), "", ""
        try:
            headers, text = await self.burst.proxy.forward(f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}".encode())
            got = headers.split()[1]
        except OSError as error:
            got = type(error).__name__
        self.burst.seconds[kind].append(time.monotonic() - began)
        if got != str(expected):
            self.burst.failed[kind] += 1
            self.burst.failures[f"{kind}: {got}"] += 1
        self.cookies |= dict(re.findall(r"(?im)^set-cookie: ([^=]+)=([^;\r]*)", headers))
        location = re.search(r"(?im)^location: (\S+)", headers)
        return location[1] if location else "", text


async def let_come(url: str, customers: int, seconds: float) -> Burst:
    burst = Burst(Proxy(url), time.monotonic() + seconds + LINGERING)
    coming = []
    for number in range(customers):
        coming.append(asyncio.create_task(Customer(burst, number).sign_up()))
        await asyncio.sleep(random.expovariate(customers / seconds))
    await asyncio.gather(*coming)
    return burst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("customers", nargs="?", type=int, default=10_000)
    parser.add_argument("seconds", nargs="?", type=float, default=600.0)
    parser.add_argument("--postgresql", action="store_true", help="instead of SQLite")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite:///{directory}/db.sqlite3"
        if options.postgresql:
            url = stack.enter_context(PostgreSQL(durable=True)).url
        installation = Installation(Path(directory), url)
        stack.callback(installation.checkout.end)
        page, processes = installation.serve_everything()
        burst = asyncio.run(let_come(page, options.customers, options.seconds))
        for line in burst.lines():
            say(line)
        say(describe_memory(processes))


if __name__ == "__main__":
    main()
