"""Calls to the identity provider: within a deadline, with answers of limited size, and few at a time.

While one waits, a thread of the web server waits with it, and all pages share these threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session
from urllib3.exceptions import HTTPError

from provisioning.transport import CallCanceled, Transport

DEADLINE = 8.0
"""Seconds that all calls for one visitor may take together."""
CONNECT_TIMEOUT = 3.0
"""Seconds for connecting to each address of the provider."""
MAX_BODY_SIZE = 500_000
"""Bytes that an answer may have. Keys with long chains of certificates have a tenth of it."""
MAX_CONCURRENT = 4
"""The number of this process's threads that may wait for the provider at once. The others keep serving pages. After a
call without an answer, it is one until there is an answer again."""
MAX_WAIT = 0.5
"""How long one more thread waits for another one to finish, in seconds."""


class Busy(OSError):
    """Raised when the provider doesn't answer, or too many threads are already waiting for it."""


class NoAnswer(OSError):
    """Raised for a call that got no complete answer in time, or none of a reasonable size."""


class Session(OAuth2Session):  # type: ignore[misc]  # it has no types
    """Authlib's session. Its calls end at `ends_at`, by the monotonic clock, and follow no redirects."""

    def __init__(self, ends_at: float, /, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._ends_at, self._transport = ends_at, Transport()
        self.mount("https://", self._transport)
        self.mount("http://", self._transport)

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        """Make a call. Raises NoAnswer."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise NoAnswer
        try:
            with self._transport.call(left, None):
                response = self._read(*arguments, **named, timeout=(min(CONNECT_TIMEOUT, left), left))
        except (requests.RequestException, HTTPError, CallCanceled) as error:
            raise NoAnswer from error
        if self._transport.timed_out:  # A connection that is cut within the headers looks like their end.
            raise NoAnswer
        return response

    def _read(self, *arguments: Any, **named: Any) -> requests.Response:
        response: requests.Response = super().request(*arguments, **named, stream=True, allow_redirects=False)
        with response:
            if response.is_redirect:
                raise requests.TooManyRedirects
            body = response.raw.read(MAX_BODY_SIZE + 1, decode_content=True)
        if len(body) > MAX_BODY_SIZE:
            raise NoAnswer
        response.raw = BytesIO(body)
        return response


class _Concurrency:
    """How many threads may wait for the provider: few, or one while it doesn't answer."""

    def __init__(self) -> None:
        self._few, self._one = threading.BoundedSemaphore(MAX_CONCURRENT), threading.BoundedSemaphore(1)
        self.is_down = False
        """Whether the last call got no answer."""

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Call the provider in this context. Raises Busy if too many other threads do so."""
        with ExitStack() as acquired:
            for semaphore in (self._one, self._few) if self.is_down else (self._few,):
                if not semaphore.acquire(timeout=MAX_WAIT):
                    raise Busy
                acquired.callback(semaphore.release)
            try:
                yield
            except NoAnswer:
                self.is_down = True
                raise
            self.is_down = False


concurrency = _Concurrency()
