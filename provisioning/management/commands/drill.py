"""`manage.py drill`: practice, on a copy, what must not fail in an emergency."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError, connection

from provisioning import backups
from provisioning.models import Account
from provisioning.services import open_newest

NO_RIGHT = "The drill needs a second database. Allow the role to create one: ALTER ROLE {} CREATEDB"
Environment = dict[str, str]


class Command(BaseCommand):
    help = "Restore a fresh backup into a copy, rotate the copy's keys, or try a wrong key there. Nothing else changes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["restore", "rotate", "wrong-key"])

    def handle(self, *, what: str, **options: Any) -> None:
        drills = {"restore": self.restore, "rotate": self.rotate, "wrong-key": self.wrong_key}
        try:
            drills[what]()
        except backups.BackupFailed as error:
            raise CommandError(str(error)) from None

    def restore(self) -> None:
        before, started = Account.objects.count(), time.monotonic()
        with copy() as copied:
            took = time.monotonic() - started
            code = "from provisioning.models import Account; print(Account.objects.count())"
            restored = int(require(copied, "shell", "--no-imports", "-c", code))
        if not before <= restored <= Account.objects.count():
            raise CommandError(f"The copy has {restored} accounts, but the original had {before}.")
        self.stdout.write(f"Backed up and restored {restored} accounts in {took:.1f} seconds. The keys open them.")

    def rotate(self) -> None:
        new = Fernet.generate_key().decode()
        with copy() as copied:
            resealed = require(copied | keys(new, *settings.SEALING_KEYS), "reseal").strip()
            require(copied | keys(new), "reseal")
            require(copied | keys(new), "check_keys")
        self.stdout.write(f"{resealed} The new key alone opens everything.")

    def wrong_key(self) -> None:
        if not open_newest():
            raise CommandError("Nothing is sealed yet, so a wrong key can't be noticed.")
        with copy() as copied:
            ran = run(copied | keys(Fernet.generate_key().decode()), "check_keys")
        if not ran.returncode:
            raise CommandError("A wrong key was not noticed.")
        self.stdout.write("With a wrong key, nothing starts, and the message says why.")


@contextmanager
def copy() -> Iterator[Environment]:
    """Back up the database, restore it into a new one, and return the environment in which that is the database."""
    with tempfile.TemporaryDirectory(prefix="drill-") as directory:
        backup = Path(directory) / "backup"
        backups.write(backup)
        with _new_database(Path(directory)) as url:
            environment = os.environ | {"DATABASE_URL": url, "DATABASE_URL_FILE": ""} | keys(*settings.SEALING_KEYS)
            require(environment, "restore", str(backup))
            yield environment


@contextmanager
def _new_database(directory: Path) -> Iterator[str]:
    if connection.vendor == "sqlite":
        yield f"sqlite:///{directory / 'copy.sqlite3'}"
        return
    where = connection.settings_dict
    name = f"{where['NAME']}_drill_{os.getpid()}"
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")
        except ProgrammingError:
            raise CommandError(NO_RIGHT.format(where["USER"])) from None
        try:
            login = f"{quote(where['USER'], safe='')}:{quote(where['PASSWORD'], safe='')}"
            server = f"{where['HOST']}:{where['PORT']}"
            yield f"postgres://{login}@{server}/{quote(name)}?{urlencode(where['OPTIONS'])}"
        finally:
            cursor.execute(f"DROP DATABASE {connection.ops.quote_name(name)}")


def keys(*sealing: str) -> Environment:
    """Return the environment variables for these SEALING_KEYS."""
    return {"SEALING_KEYS": ",".join(sealing), "SEALING_KEYS_FILE": ""}


def require(environment: Environment, *command: str) -> str:
    """Run a command, and return its output. Raises CommandError with what it says if it fails."""
    ran = run(environment, *command)
    if ran.returncode:
        raise CommandError(f"{command[0]} failed: {ran.stderr.strip()}")
    return ran.stdout


def run(environment: Environment, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `manage.py`, as a process of its own, and return its exit status and output."""
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
