"""One call to an endpoint: over a connection to a checked address, without redirects, and within a deadline."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import requests
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from provisioning.constant_contact.answers import read_retry_after, storable
from provisioning.constant_contact.masking import mask
from provisioning.events.addresses import AddressRefused, CheckedHTTP, CheckedHTTPS
from provisioning.transport import Transport

log = logging.getLogger(__name__)

DEADLINE = 15.0
"""Seconds that a call may take, from connecting to the end of the answer."""
MAX_READ = 64 * 1024
"""Bytes of an answer that are read."""
MAX_STORED = 1000
"""Characters of an answer that are kept."""
GONE = 410


@dataclass(frozen=True)
class Call:
    """What to send, and the values that must not be kept if the answer repeats them."""

    url: str = field(repr=False)
    """It may hold a token. Whoever knows that of a channel in Slack or Teams can write there."""
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    confidential: Collection[str] = field(default=(), repr=False)


@dataclass(frozen=True)
class Result:
    """What became of a call. `problem` says why there is no usable answer."""

    duration: timedelta
    status: int | None = None
    problem: str = ""
    answer: str = ""
    retry_after: timedelta | None = None

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300 and not self.problem

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more events, ever."""
        return self.status == GONE


class CheckedTransport(Transport):
    """Opens connections only to addresses that events may be sent to. No proxy from the environment is used."""

    http, https = CheckedHTTP, CheckedHTTPS

    def connecting(self, connection: HTTPConnection) -> None:
        super().connecting(connection)
        connection.ends_at = self.deadline  # type: ignore[attr-defined]  # it is one of ours


def make(call: Call) -> Result:
    """Make the call and return what became of it. Raises nothing."""
    began = time.monotonic()
    transport = CheckedTransport()
    try:
        with requests.Session() as session, transport.call(DEADLINE, None):
            session.trust_env = False  # Neither proxies nor .netrc.
            session.mount("https://", transport)
            session.mount("http://", transport)
            status, answer, retry_after = _exchange(session, transport, call)
    except Exception as error:
        return Result(_since(began), problem=_problem(error, transport))
    problem = "Redirects are not followed." if 300 <= status < 400 else ""
    return Result(_since(began), status, problem, _masked(answer, call.confidential), retry_after)


def _exchange(session: requests.Session, transport: Transport, call: Call) -> tuple[int, str, timedelta | None]:
    """Send the call. Return the status, the beginning of the answer, and how long the receiver asks us to wait.

    Once the headers have come, the status counts, even if the rest of the answer fails to come.
    """
    wanted = {"Accept-Encoding": "identity", "Connection": "close", **call.headers}
    with session.post(
        call.url, data=call.body, headers=wanted, stream=True, allow_redirects=False, timeout=DEADLINE
    ) as response:
        if transport.timed_out:  # A connection that is cut within the headers looks like their end.
            raise requests.Timeout
        answer = b""
        with suppress(HTTPError, OSError):
            answer = response.raw.read(MAX_READ, decode_content=False)
        return response.status_code, answer.decode(errors="replace"), read_retry_after(response.headers)


def _since(began: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - began)


def _masked(answer: str, confidential: Collection[str]) -> str:
    """Return the beginning of an answer as it may be kept: without these values, in any spelling."""
    return storable(mask(answer, tuple(sorted(confidential, key=len, reverse=True))))[:MAX_STORED]


def _problem(error: Exception, transport: CheckedTransport) -> str:
    """Say what kept a call from its answer, in words for staff that repeat nothing of the URL."""
    if isinstance(error, AddressRefused):
        return str(error)
    if transport.timed_out or isinstance(error, requests.Timeout):
        return f"No answer within {DEADLINE:.0f} seconds."
    if isinstance(error, requests.exceptions.SSLError):
        return "The certificate could not be verified, or the encrypted connection failed."
    if "NameResolutionError" in repr(error):
        return "The host name can't be resolved."
    if isinstance(error, requests.ConnectionError):
        return "The connection failed, or was closed without an answer."
    log.warning("event could not be sent error=%s", type(error).__name__)
    return f"The call failed: {type(error).__name__}."
