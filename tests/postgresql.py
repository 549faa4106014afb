"""A temporary PostgreSQL server: `python -m tests.postgresql COMMAND…` runs a command with DATABASE_URL set to it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

WAITING = """
    FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE datname = current_database() AND NOT granted
"""
"""The connections that wait for a table or an advisory lock, of this database only: other tests share the server."""
OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"


class PostgreSQL:
    """A context manager for a new PostgreSQL server, in a temporary directory and on a free port.

    Raises FileNotFoundError if PostgreSQL is not installed.
    """

    def __init__(self, *, durable: bool = False) -> None:
        """Set up the server. With `durable`, each commit waits for the disk, as in production."""
        self._options = OPTIONS if durable else f"{OPTIONS} -c fsync=off"
        self._programs = find_programs()
        self._user = find_user()
        self._home = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._port = free_port()
        self.url = f"postgres://tests@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        if self._user:
            shutil.chown(self._home, self._user)
        try:
            self._run("initdb", "--username=tests", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
            self.start()
        except BaseException:
            shutil.rmtree(self._home)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._home)

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", "--log=log", f"--options={self._options} -p {self._port}")

    def stop(self) -> None:
        """Stop it like a power cut: connections drop, and the next start recovers what was committed."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def restart(self) -> None:
        self.stop()
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, "--pgdata=data", *arguments],
            cwd=self._home,
            user=self._user,
            stdout=subprocess.DEVNULL,
            check=True,
        )


def find_programs() -> Path:
    """Return the directory of PostgreSQL's programs: on PATH, or where Debian puts its newest version."""
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    if installed := list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return max(installed, key=lambda path: int(path.parts[-3])).parent
    raise FileNotFoundError("PostgreSQL is not found; on Debian: apt-get install postgresql")


def find_user() -> str | None:
    """Return the user to run PostgreSQL as, because it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def main(command: list[str]) -> int:
    """Run the command and return its status. Without PostgreSQL, run nothing, which is a failure only in CI."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # So that the server is stopped too.
    try:
        database = PostgreSQL()
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}. Not run: {' '.join(command)}\n")
        return 1 if os.environ.get("CI") == "true" else 0
    with database:
        return subprocess.run(command, env=os.environ | {"DATABASE_URL": database.url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
