"""A TCP line that can go dead: it stays open and swallows everything, as behind a firewall that has forgotten it."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from typing import Self

from tests.patience import PATIENCE


class Line:
    """A context manager for a line to a server on this machine. Connect to `port`."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._works = threading.Event()
        self._works.set()
        self.swallowed = threading.Event()
        """Set once something was sent over a dead line."""
        self._ends: list[socket.socket] = []
        self._server = _Server(("127.0.0.1", 0), self._forward)  # type: ignore[arg-type]  # any callable
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            _shut(end)
        self._server.shutdown()
        self._server.server_close()

    def die(self) -> None:
        """Let all connections, and new ones, fall silent for good."""
        self.swallowed.clear()
        self._works.clear()

    def revive(self) -> None:
        """Let new connections work."""
        self._works.set()

    def _forward(self, client: socket.socket, *_: object) -> None:
        with client, socket.create_connection(self._to) as server:
            self._ends += [client, server]
            dead = threading.Event()
            back = threading.Thread(target=self._copy, args=(server, client, dead), daemon=True)
            back.start()
            self._copy(client, server, dead)
            back.join(PATIENCE)

    def _copy(self, source: socket.socket, to: socket.socket, dead: threading.Event) -> None:
        try:
            while data := source.recv(65536):
                if not self._works.is_set():
                    dead.set()
                    self.swallowed.set()
                if not dead.is_set():
                    to.sendall(data)
        except OSError:
            pass  # Either side has gone.
        if not dead.is_set():
            for each in (source, to):
                _shut(each)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # It is closed already.
        connection.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
