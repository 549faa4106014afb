"""A transport for `requests` that adds two things.

It knows whether any byte of a request went out: a request that was never sent can safely be sent again. And it enforces
a deadline for the whole call: the timeouts of `requests` restart with every byte, so a peer that sends its answer
slowly enough could keep a call open forever. All times are in seconds by `time.monotonic()`.

A connection reports to its transport in this order: `connecting`, `opened`, and `sending` before each part of a
request. A connection that is reused reports only `sending`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

IDLE = 30.0
"""Seconds after which an idle connection is not reused: something on the way may have dropped it silently."""


class CallCanceled(Exception):
    """Raised in place of sending a request: `start` raised an exception, or no time was left. Nothing was sent."""


class Transport(HTTPAdapter):
    """The transport for one thread's session: at most one connection, and one call at a time.

    Mount it, and make each request in the context of `call`. Then `unsent`, `canceled`, and `timed_out` say what became
    of it. Subclasses choose the kinds of connections, and may set each one up in `connecting`.
    """

    http: type[HTTPConnection] = HTTPConnection
    https: type[HTTPConnection] = HTTPSConnection
    """The kinds of connections that it opens."""

    def __init__(self) -> None:
        self._line: socket.socket | None = None
        """A duplicate of the call's socket. Its connection lets go of the socket during a TLS handshake, and as soon as
        an answer's headers say that no other answer follows."""
        self._start: Callable[[], None] | None = None
        self.deadline = self._used_at = 0.0
        """When the current call must have ended, and when the last one did."""
        self.unsent = True
        """Whether it is certain that no byte of the last call went out to the provider."""
        self.canceled = False
        """Whether the last call was canceled by its `start`, or because that took too long."""
        self.timed_out = False
        """Whether the last call's connection was cut because its time was over."""
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    @contextmanager
    def call(self, timeout: float, start: Callable[[], None] | None) -> Iterator[None]:
        """Run one request in this context, and cut its connection after `timeout` seconds; then `timed_out` says so.

        `start` is called once the connection is established, just before the first byte. It may wait; if it raises an
        exception, the request fails with CallCanceled. Exceptions of the request pass through.
        """
        now = time.monotonic()
        if now - self._used_at > IDLE:
            self.close()
        self.unsent, self.canceled, self.timed_out = True, False, False
        self.deadline, self._start = now + timeout, start
        watchdog = threading.Timer(timeout, self._disconnect)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()
            self._hold(None)
            self._used_at = time.monotonic()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let direct connections report here. `HTTPAdapter` calls this."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Let connections through a proxy report here, too. `HTTPAdapter` calls this."""
        manager = super().proxy_manager_for(*args, **kwargs)
        self._watch(manager)
        return manager

    def connecting(self, connection: HTTPConnection) -> None:
        """Set up a connection that is about to be opened. Subclasses do so."""

    def opened(self, sock: socket.socket) -> None:
        """Note the socket that a TCP connection was made on; a TLS handshake may follow."""
        self._hold(sock.dup())

    def sending(self, connection: HTTPConnection) -> None:
        """Call `start` before the first byte, and note that the request is going out. Raises CallCanceled."""
        self._require_time()
        if self._start:
            start, self._start = self._start, None
            self.canceled = True
            try:
                start()
            except Exception as reason:
                raise CallCanceled("The call was canceled before it was sent.") from reason
            self._require_time()
            self.canceled = False
        self.unsent = False
        if self._line is None and (sock := connection.sock):  # The connection was kept from an earlier call.
            self._hold(socket.fromfd(sock.fileno(), sock.family, sock.type))  # An SSLSocket can't duplicate itself.

    def _require_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise CallCanceled("The call timed out before it was sent.")

    def _disconnect(self) -> None:
        self.timed_out = True
        if line := self._line:
            with suppress(OSError):  # The peer has already closed it.
                line.shutdown(socket.SHUT_RDWR)

    def _hold(self, line: socket.socket | None) -> None:
        before, self._line = self._line, line
        if before:
            before.close()

    def _watch(self, manager: PoolManager) -> None:
        """Make every connection from `manager` report to this transport."""
        http = type("Http", (_Reporting, self.http), {"transport": self})
        https = type("Https", (_Reporting, self.https), {"transport": self})
        manager.pool_classes_by_scheme = {
            "http": type("HttpPool", (HTTPConnectionPool,), {"ConnectionCls": http}),
            "https": type("HttpsPool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
        }


class _Reporting(HTTPConnection):
    """A connection that tells its transport when it connects and before it sends.

    A CONNECT request to a proxy is part of connecting: nothing has gone out to the provider yet.
    """

    transport: Transport
    _is_connecting = False

    def connect(self) -> None:
        self.transport.connecting(self)
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self.transport.opened(sock)
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._is_connecting:
            self.transport.sending(self)
        super().send(data)
