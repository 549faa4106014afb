"""`python -m tests.benchmark.size [FEW MANY]`: how much slower everything is with many accounts than with few.

It fills two installations, each with its own database, and with as many sessions and visits as accounts: SQLite in
temporary files, or two new databases of the server that DATABASE_URL points at, as in
`python -m tests.postgresql python -m tests.benchmark.size`. They do the same work alternately, so that other load on
the machine slows both down alike, and the median of 21 times is printed. The searches are for a word that 7% of the
accounts have, for a person at an organization, and for an email address with a username. They find the same number of
rows in both, because rendering rows is not what is measured here.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import tests.environment  # noqa: F401

WORK = ("sign-up", "status", "claim", "chores")
PAGES = ("list", "page 3", "common word", "and created", "and GB", "and rare", "person", "email", "overview", "account")
TIMES = 21


def main(few: str, many: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        installations = [start(number, database(number, Path(directory))) for number in (few, many)]
        for installation in installations:
            ask(installation)
        say(f"{'':12} {int(few):>14,} {int(many):>14,}   ratio  queries  lines")
        for page in (*WORK, *PAGES):
            answers = [[ask(installation, page) for installation in installations] for _ in range(TIMES)]
            before, after = (median(float(each[0]) for each in column) for column in zip(*answers, strict=True))
            queries, lines = (" and ".join(sorted({each[part] for each in answers[-1]})) for part in (1, 2))
            say(f"{page:12} {before:>11.1f} ms {after:>11.1f} ms {after / before:>7.2f}  {queries:>7}  {lines:>5}")
        for installation in installations:
            installation.terminate()
            installation.wait()


def database(number: str, directory: Path) -> str:
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        return f"sqlite:///{directory / number}"
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE size_{number}")
    return f"{server.rpartition('/')[0]}/size_{number}"


def start(number: str, url: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "signup.settings",
        "ABUSE_PROTECTION": "true",
        "CONSTANT_CONTACT_RATE": "100000",
        "RETENTION_DAYS": "3650",
    }
    command = [sys.executable, "-m", "tests.benchmark.size", number]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def ask(installation: subprocess.Popen[str], page: str = "") -> list[str]:
    """Return a page's milliseconds, queries, and rows of a list. Without a page, wait until the database is filled."""
    assert installation.stdin
    assert installation.stdout
    if page:
        installation.stdin.write(f"{page}\n")
    return installation.stdout.readline().split()


def answer(number: int) -> None:
    """Be an installation with this many accounts: read the names of pages, and write how long each took."""
    os.environ["DEBUG"] = "true"  # `seed` requires it.
    import django

    django.setup()
    logging.disable()

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from provisioning.models import Account

    call_command("migrate", verbosity=0)
    call_command("seed", number, stdout=sys.stderr)
    fill_with_visitors(number)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    client = Client()
    client.force_login(User.objects.create_superuser("dora"))
    account = Account.objects.filter(state=Account.State.CREATED).order_by("submitted_at")[number // 2]
    accounts = "/admin/provisioning/account/"
    person = f"{account.first_name} {account.last_name} {account.organization_name}"
    word = account.organization_name.split()[0]
    filters = "state__exact=created", "country_code=GB", "state__exact=unconfirmed"
    searches = word, *(f"{word}&{each}" for each in filters), person, f"{account.email} {account.username}"
    urls = (accounts, f"{accounts}?p=3", *(f"{accounts}?q={text}" for text in searches), "/admin/")
    addresses: dict[str, str] = dict(zip(PAGES, (*urls, f"{accounts}{account.pk}/change/"), strict=True))
    work = {page: partial(client.get, address) for page, address in addresses.items()} | make_work()
    for do in work.values():
        do()
    say("filled")
    for line in sys.stdin:
        with CaptureQueriesContext(connection) as queries:
            begin = time.perf_counter()
            result = work[line.strip()]()
            took = time.perf_counter() - begin
        lines = getattr(result, "content", b"").count(b"field-colored_state")
        say(f"{1000 * took} {len(queries)} {lines}")


def make_work() -> dict[str, Callable[[], Any]]:
    """Return what customers and workers do: name → function that does it once."""
    from django.db import transaction
    from django.test import Client

    from provisioning import services
    from provisioning.management.commands.provision import Command
    from signup import abuse, form_guard
    from tests.provisioning.values import SIGN_UP

    form_guard.MINIMUM_SECONDS = 0
    abuse.MAX_HELD = 10**9  # Of so many accounts, more are held than are admitted otherwise.
    customer = Client()

    def sign_up(browser: Client | None = None) -> str:
        submission = uuid.uuid4()
        own = {
            "submission": submission,
            "shown": form_guard.sign_shown(submission),
            "username": f"anna-{submission.hex}",
        }
        values = SIGN_UP | own | {"email": f"{submission.hex}@example.com"}
        address = f"{random.randint(1, 99)}.{random.randint(0, 255)}.{random.randint(0, 255)}.7"
        response = (browser or Client()).post("/", values, REMOTE_ADDR=address)
        assert response.status_code == 302
        return response.headers["Location"]

    def ask() -> None:
        assert customer.get(f"{page}status/").status_code == 200

    def claim() -> None:
        with transaction.atomic():
            assert services.claim_account()
            transaction.set_rollback(True)

    def do_chores() -> None:
        worker.chores_at = 0.0
        worker.do_chores()
        faulthandler.cancel_dump_traceback_later()  # The watchdog, which would end a worker that does nothing else.

    worker = Command()
    worker.name, worker.problem = "benchmark", ""
    page = sign_up(customer)
    return {"sign-up": sign_up, "status": ask, "claim": claim, "chores": do_chores}


def fill_with_visitors(number: int) -> None:
    """Insert this many sessions, and as many visits within the last day."""
    from django.db import connection

    key, call, time_in = {
        "sqlite": ("lower(hex(randomblob(32)))", "lower(hex(randomblob(16)))", "datetime('now', '{} hours')"),
        "postgresql": ("md5(random()::text) || md5(n::text)", "gen_random_uuid()", "now() + interval '{} hours'"),
    }[connection.vendor]
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number})"
    sqls = (
        f"{numbers} INSERT INTO django_session (session_key, session_data, expire_date)"
        f" SELECT substr({key}, 1, 40), '', {time_in.format(24)} FROM numbers",
        f"{numbers} INSERT INTO signup_visit (key, submission, at)"
        f" SELECT {key}, {call}, {time_in.format(-12)} FROM numbers",
    )
    with connection.cursor() as cursor:
        for sql in sqls:
            cursor.execute(sql)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        answer(int(sys.argv[1]))
    else:
        main(*(sys.argv[1:3] or ("1000", "1000000")))
