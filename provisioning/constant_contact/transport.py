"""A line to the provider that knows two things `requests` does not tell.

Whether any byte of a request went out: what was surely never sent may be sent again. And when to give up: the time-outs
of `requests` start anew with each byte, so a peer that trickles could hold a call for ever.
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
"""Seconds after which a connection is not used again: something on the way may have dropped it without a word."""


class CalledOff(Exception):
    """A call was given up before its request could go out."""


class Transport(HTTPAdapter):
    """The transport of one thread's session: at most one connection, and one call at a time."""

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None
        self._start: Callable[[], None] | None = None
        self._deadline = self._used_at = 0.0
        self.unsent = True
        """Of the last call: surely no byte of it went out to the provider. Where in doubt, False."""
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    @contextmanager
    def call(self, timeout: float, start: Callable[[], None] | None) -> Iterator[None]:
        """Within it one request runs, and its connection is cut `timeout` seconds after the start.

        `start` is called when the connection stands and the first byte is about to go out; it may raise to call it off.
        """
        now = time.monotonic()
        if now - self._used_at > IDLE:
            self.close()
        self.unsent, self._deadline, self._start = True, now + timeout, start
        watchdog = threading.Timer(timeout, self._hang_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()
            self._used_at = time.monotonic()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        self._watch(manager)
        return manager

    def connecting(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def sending(self, connection: HTTPConnection) -> None:
        if self._start:
            start, self._start = self._start, None
            try:
                start()
            except Exception as reason:
                raise CalledOff("The call was called off before it could be sent.") from reason
        if time.monotonic() >= self._deadline:
            raise CalledOff("The time for the call was over before it could be sent.")
        self.unsent, self._connection = False, connection

    def _hang_up(self) -> None:
        sock = self._connection and self._connection.sock
        if sock:
            with suppress(OSError):  # The peer was faster.
                # The plain socket's method: SSLSocket's own would take its state from under the reading thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _watch(self, manager: PoolManager) -> None:
        """Let every connection that `manager` makes report to this line."""
        http = type("Http", (_Reporting, HTTPConnection), {"transport": self})
        https = type("Https", (_Reporting, HTTPSConnection), {"transport": self})
        manager.pool_classes_by_scheme = {
            "http": type("HttpPool", (HTTPConnectionPool,), {"ConnectionCls": http}),
            "https": type("HttpsPool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
        }


class _Reporting(HTTPConnection):
    """A connection that tells its line when it connects and before it sends.

    What it says to a proxy to be connected (CONNECT) is part of connecting: no request has gone out yet.
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

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._is_connecting:
            self.transport.sending(self)
        super().send(data)
