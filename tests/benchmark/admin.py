"""`python -m tests.benchmark.admin [FEW MANY]`: how much slower the admin is with many accounts than with few.

Two installations are filled, each with a database of its own: SQLite in temporary files, or two new databases of the
server that DATABASE_URL points at, like in `python -m tests.postgresql python -m tests.benchmark.admin`. They are asked
for each page in turns, so that whatever else the machine does slows both down alike; of 21 times the median counts.
The searches are for a word that 7 % of the accounts hold, for a person at an organization, and for an e-mail address
with a user name: each fills as many lines of the list in both, for what a line takes to draw is not what is asked here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import tests.environment  # noqa: F401

PAGES = ("list", "page 3", "common word", "person", "e-mail", "overview", "account")
TIMES = 21


def main(few: str, many: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        installations = [start(number, database(number, Path(directory))) for number in (few, many)]
        for installation in installations:
            ask(installation)
        say(f"{'':12} {int(few):>14,} {int(many):>14,}   ratio  queries  lines")
        for page in PAGES:
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
        connection.execute(f"CREATE DATABASE admin_{number}")
    return f"{server.rpartition('/')[0]}/admin_{number}"


def start(number: str, url: str) -> subprocess.Popen[str]:
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "signup.settings"}
    command = [sys.executable, "-m", "tests.benchmark.admin", number]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    )


def ask(installation: subprocess.Popen[str], page: str = "") -> list[str]:
    """What a page takes: milliseconds, queries, lines of a list; without a page: wait until all is filled."""
    assert installation.stdin
    assert installation.stdout
    if page:
        installation.stdin.write(f"{page}\n")
    return installation.stdout.readline().split()


def answer(number: int) -> None:
    """Be an installation with so many accounts: read the name of a page, write how long it took."""
    os.environ["DEBUG"] = "true"  # Without it nothing is filled.
    import django

    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from provisioning.models import Account

    call_command("migrate", verbosity=0)
    call_command("seed", number, stdout=sys.stderr)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    client = Client()
    client.force_login(User.objects.create_superuser("dora"))
    account = Account.objects.filter(state=Account.State.CREATED).order_by("submitted_at")[number // 2]
    accounts = "/admin/provisioning/account/"
    person = f"{account.first_name} {account.last_name} {account.organization_name}"
    searches = account.organization_name.split()[0], person, f"{account.email} {account.username}"
    urls = (accounts, f"{accounts}?p=3", *(f"{accounts}?q={text}" for text in searches), "/admin/")
    addresses = dict(zip(PAGES, (*urls, f"{accounts}{account.pk}/change/"), strict=True))
    for address in addresses.values():
        client.get(address)
    say("filled")
    for line in sys.stdin:
        with CaptureQueriesContext(connection) as queries:
            begin = time.perf_counter()
            page = client.get(addresses[line.strip()])
            took = time.perf_counter() - begin
        assert page.status_code == 200
        say(f"{1000 * took} {len(queries)} {page.content.count(b'field-colored_state')}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        answer(int(sys.argv[1]))
    else:
        main(*(sys.argv[1:3] or ("1000", "1000000")))
