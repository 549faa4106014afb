"""The product as a partner runs it: gunicorn and workers as separate processes, with the sandbox as the provider."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Self
from uuid import UUID

from django.conf import settings as own

from provisioning.sandbox import Server
from provisioning.search.index import add_function
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import partner_of, provider

ROOT = Path(__file__).parent.parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
GUNICORN = [sys.executable, "-m", "gunicorn", "signup.wsgi", "--bind=127.0.0.1:0", "--threads=4", "--no-control-socket"]

LOG_IN = """
import json
from collections import defaultdict
from django.contrib.auth.models import User
from django.test import Client
sessions = defaultdict(list)
for user in list(User.objects.all()) * {each}:
    client = Client()
    client.force_login(user)
    sessions[user.username].append(client.session.session_key)
print(json.dumps(sessions))
"""


class Installation:
    """A site at `url` with its own empty database, and the sandbox's `provider`, which its workers call.

    The sandbox runs in this process, so it has the API of this process's settings. The rate is a partner's: at 100
    calls a second, a busy machine would miss the 15 ms in which each call may start, and put the account off again and
    again.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        self.provider = provider()
        self.sandbox = Server(self.provider)
        self.environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
            "CONSTANT_CONTACT_API": own.CONSTANT_CONTACT_API,
            "CONSTANT_CONTACT_URL": self.sandbox.url,
            "CONSTANT_CONTACT_TOKEN_URL": self.sandbox.token_url,
            "PROVISION_RECHECK": "1",
            **settings,
        }
        self.directory = directory
        self._has_own_database = "DATABASE_URL" not in settings
        self.log = directory / "log"
        self.url = ""

    def __enter__(self) -> Self:
        collect_static_files()
        if self._has_own_database:
            file = self.directory / "db.sqlite3"
            file.touch(0o600)
            file.write_bytes(migrated_database())
        else:
            self.manage("migrate", "-v0")
        self.sandbox.__enter__()
        self.web = self._start(GUNICORN)
        self.url = self._address()
        return self

    def __exit__(self, *_: object) -> None:
        _end(self.web)
        self.sandbox.__exit__()

    def manage(self, *arguments: str, **settings: str) -> str:
        """Run a command, with settings that only it has, and return its output."""
        environment = self.environment | settings
        return subprocess.run(
            [*MANAGE, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        ).stdout

    def staff_sessions(self, each: int) -> dict[str, list[str]]:
        """Log every user in `each` times, and return the keys of their sessions by username."""
        found: dict[str, list[str]] = json.loads(self.manage("shell", "-v0", "-c", LOG_IN.format(each=each)))
        return found

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker in this context."""
        process = self._start([*MANAGE, "provision", "--threads=4"])
        try:
            yield
        finally:
            _end(process)

    def change(self, reference: str, **columns: str) -> None:
        """Change an account directly, for states and times that would be hard to reach otherwise."""
        changed = {"password": "", "due_at": None, **columns}
        update = f"UPDATE provisioning_account SET {', '.join(f'{name} = ?' for name in changed)} WHERE reference = ?"
        with closing(sqlite3.connect(self.directory / "db.sqlite3", timeout=20)) as database, database:
            add_function(database)
            assert database.execute(update, [*changed.values(), UUID(reference).hex]).rowcount == 1

    def refuse(self, reference: str, outcome: str = "refused", **reasons: str) -> None:
        """Record that Constant Contact refused an account, and these of its properties, with its reasons."""
        self.change(reference, state="rejected")
        insert = (
            "INSERT INTO provisioning_attempt"
            " (account_id, kind, username, sent, outcome, refused, refused_keys, error_key, error_message, answer)"
            " SELECT id, 'create', username, '{}', ?, ?, '{}', '', '', ''"
            " FROM provisioning_account WHERE reference = ?"
        )
        with closing(sqlite3.connect(self.directory / "db.sqlite3", timeout=20)) as database, database:
            assert database.execute(insert, [outcome, json.dumps(reasons), UUID(reference).hex]).rowcount == 1

    def take(self, username: str) -> None:
        """Add somebody else's account with this username at the provider."""
        with partner_of(self.sandbox.url) as partner:
            partner.create(username)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def _address(self) -> str:
        """Return the address at which gunicorn listens, from its log."""
        while self.web.poll() is None:
            if found := re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", self.log.read_text()):
                return found[1]
        raise RuntimeError(self.log.read_text())


@cache
def migrated_database() -> bytes:
    """Return a new SQLite database, for all installations that need one."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "db.sqlite3"
        environment = os.environ | {"DATABASE_URL": f"sqlite:///{path}"}
        subprocess.run([*MANAGE, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        return path.read_bytes()


@cache
def collect_static_files() -> None:
    """Collect this checkout's static files once, for all installations."""
    with (ROOT / "manage.py").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # Tests that run side by side share the checkout.
        subprocess.run([*MANAGE, "collectstatic", "--no-input", "-v0"], cwd=ROOT, check=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=PATIENCE)
