"""A temporary pgbouncer in transaction mode, as hosting providers put it in front of PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.patience import PATIENCE
from tests.postgresql import find_user, free_port

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=tests
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
"""


class PgBouncer:
    """A context manager for a pgbouncer on `port`, in front of the PostgreSQL server on port `server`.

    Raises FileNotFoundError if it is not installed.
    """

    def __init__(self, server: int) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if not program:
            raise FileNotFoundError("pgbouncer is not found; on Debian: apt-get install pgbouncer")
        self._program, self._server, self.port = program, server, free_port()

    def __enter__(self) -> Self:
        user = find_user()
        self._home = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        configuration = self._home / "pgbouncer.ini"
        configuration.write_text(CONFIGURATION.format(server=self._server, port=self.port))
        if user:
            for path in (self._home, configuration):
                shutil.chown(path, user)
        self._process = subprocess.Popen(
            [self._program, "--quiet", configuration], user=user, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        shutil.rmtree(self._home)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True
