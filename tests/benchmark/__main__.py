"""Compare the product with a minimal Django site on this machine: `python -m tests.benchmark`.

Both run on gunicorn with the product's own configuration, on the same database. wrk loads them alternately for a few
seconds each, so that other load on the machine slows both down alike, and the medians are printed. Each line is a kind
of request: the product's and Django's responses per second, their ratio, the 99th percentile in milliseconds, and the
processor time per response. The last line is the memory (PSS) of the processes of `manage.py serve`, and of bare
Django's web server, after a load.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from urllib.parse import urljoin

import tests.environment  # noqa: F401
from tests.benchmark.installation import HEADERS, Installation, describe_memory, forms, sign_up
from tests.benchmark.load import Load, drive
from tests.postgresql import PostgreSQL

WORKING = 15
"""Seconds for which the worker creates accounts before memory is measured."""


@dataclass(frozen=True)
class Work:
    """One kind of request, to both servers, and the `status` that both must answer with."""

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    posts: bool = False
    asks: bool = False
    """Request the state of an account, as a waiting page does."""


def get_page() -> Iterator[Work]:
    for host in ("plain", "brand"):
        for language in ("en", "fr", "es"):
            for encoding in ("identity", "gzip"):
                headers = {"Host": f"{host}.example.com", "Accept-Language": language, "Accept-Encoding": encoding}
                yield Work(f"GET / {host} {language} {encoding}", headers)


def measure(work: Work, installation: Installation, turns: int, seconds: int) -> str:
    """Return a line of the table."""
    loads: dict[str, list[Load]] = {installation.ours: [], installation.bare: []}
    busy: dict[str, list[float]] = {url: [] for url in loads}
    for _turn in range(turns):
        for url, got in loads.items():
            bodies = forms(seconds * 3000) if work.posts else ()
            headers = HEADERS | {"Host": "plain.example.com"} | work.headers
            address = url
            if work.asks:
                path, cookies = sign_up(url)
                address = urljoin(url, path if path.startswith("/status/") else f"{path}status/")
                headers = headers | {"Cookie": cookies}
            before = installation.processor_seconds(url)
            load = drive(address, seconds, headers, work.status, bodies)
            if load.errors:
                said = installation.webs[url].said.splitlines()[-40:]
                raise SystemExit("\n".join([*said, f"{work.name}: {load.errors} wrong answers of {url}"]))
            got.append(load)
            busy[url].append((installation.processor_seconds(url) - before) / load.requests * 1000)
    (ours, p99), (bare, bare_p99) = (
        (median(load.rate for load in of), median(load.p99 for load in of)) for of in loads.values()
    )
    cpu, bare_cpu = (median(milliseconds) for milliseconds in busy.values())
    return (
        f"{work.name:32} {ours:6.0f}/s {bare:6.0f}/s  {ours / bare:5.2f}  {p99:6.0f} ms {bare_p99:6.0f} ms"
        f"  {cpu:6.1f} ms {bare_cpu:6.1f} ms"
    )


def memory_after_load(installation: Installation, seconds: int) -> str:
    """Load a whole installation, and bare Django, with pages and forms. Return the memory of each as a line."""
    url, processes = installation.serve_everything()
    for page in (url, installation.bare):
        drive(page, seconds, HEADERS | {"Host": "plain.example.com"}, 200)
        drive(page, seconds, HEADERS | {"Host": "plain.example.com"}, 302, forms(seconds * 3000))
    time.sleep(WORKING)
    return describe_memory(processes | {"bare Django's web": installation.webs[installation.bare].process.pid})


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="*", help="kinds of requests: those whose name has one of these words in it")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of a turn")
    parser.add_argument("--postgresql", action="store_true", help="instead of SQLite")
    parser.add_argument("--unprotected", action="store_true", help="with ABUSE_PROTECTION=false")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite:///{directory}/db.sqlite3"
        if options.postgresql:
            url = stack.enter_context(PostgreSQL(durable=True)).url
        installation = Installation(Path(directory), url, abuse_protection=not options.unprotected)
        try:
            # POST comes last: once 20,000 sign-ups are held for staff, more are refused.
            for work in [*get_page(), Work("GET /status/", asks=True), Work("POST /", status=302, posts=True)]:
                if not options.only or any(word in work.name for word in options.only):
                    say(measure(work, installation, options.turns, options.seconds))
            say(memory_after_load(installation, options.seconds))
        finally:
            installation.checkout.end()


if __name__ == "__main__":
    main()
