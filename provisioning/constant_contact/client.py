"""The base class for both versions of the API: the session, the deadline, and turning HTTP answers into `Answer`s."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import Message
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ProxyError

from provisioning.constant_contact.answers import (
    Answer,
    Meaning,
    Problem,
    classify,
    parse_json,
    parse_problems,
    read_mashery_code,
    read_retry_after,
    storable,
)
from provisioning.constant_contact.masking import mask, mask_problem
from provisioning.transport import CallCanceled, Transport

log = logging.getLogger(__name__)

USER_AGENT = f"constant-contact-signup {requests.utils.default_user_agent()}"
MAX_BODY_SIZE = 5_000_000
"""Bytes read of a body. The longest page of the account list is far smaller."""
MAX_STORED_BODY = 10_000
"""Characters of a body that are stored."""

Reader = Callable[[Any], Answer | None]
"""Reads the JSON body of a 2xx answer; returns None if it is not what the vendor documents."""

Start = Callable[[], None]
"""Called just before the first byte of a call goes out. It may wait; raising an exception cancels the call."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The provider's address, the partner's credentials, and whether to request a token with each new account.

    For v3, `username` and `password` are the partner's client ID and secret; `token_url` trades them for access tokens.
    """

    url: str
    api_key: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    oauth2_token: bool = False
    token_url: str = ""


class Client(ABC):
    """The partner API, for use by one thread. Repeats no call, follows no redirect, raises no exception."""

    def __init__(self, credentials: Credentials, *, timeout: float) -> None:
        self.credentials = credentials
        self._timeout = timeout
        self._transport = Transport()
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        self._session.mount("http://", self._transport)
        self._session.mount("https://", self._transport)

    @abstractmethod
    def create(self, properties: Mapping[str, Any], start: Start | None = None) -> Answer:
        """Create one account. Properties are named as in v2; empty ones are not sent."""

    @abstractmethod
    def list_accounts(self, page: str = "", start: Start | None = None) -> Answer:
        """Read one page of the partner's accounts: the first, or the `next_page` of the previous answer."""

    def close(self) -> None:
        self._session.close()

    def call(
        self,
        method: str,
        url: str,
        read: Reader,
        *,
        secrets: tuple[str, ...] = (),
        password: str = "",
        timeout: float | None = None,
        start: Start | None = None,
        **request: Any,
    ) -> Answer:
        """Make one call; if the status is a success, `read` reads the body.

        `secrets`, the customer's `password` and the partner's own secrets are masked in the answer. `timeout` defaults
        to the client's. `request` holds further arguments for `requests`.
        """
        started = time.monotonic()
        timeout = timeout or self._timeout
        try:
            with self._transport.call(timeout, start):
                status, headers, text = self._exchange(method, url, timeout=(min(10.0, timeout), timeout), **request)
            answer = _interpret(status, headers, text, read)
        except Exception as error:  # Whatever failed: once a byte was sent, the account may exist.
            answer = self._failed(error)
        duration = timedelta(seconds=time.monotonic() - started)
        hidden = (*self._own_secrets(), *secrets, answer.oauth2_token)
        return replace(
            answer,
            duration=duration,
            body=mask(answer.body, hidden, password)[:MAX_STORED_BODY],
            problems=tuple(mask_problem(each, hidden, password) for each in answer.problems),
        )

    @staticmethod
    def request_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties to send, with v2 names: without empty ones, and with what single billing implies."""
        sent = {name: value for name, value in properties.items() if value not in (None, "", False)}
        if sent.get("single_billing"):
            # "If single_billing=true, managed_site_owner is automatically set to true"
            sent["managed_site_owner"] = True
        return sent

    @property
    def basic(self) -> tuple[bytes, bytes]:
        """The partner's login for HTTP Basic authentication, in UTF-8 (RFC 7617)."""
        return self.credentials.username.encode(), self.credentials.password.encode()

    def _exchange(self, method: str, url: str, **request: Any) -> tuple[int, Mapping[str, str], str]:
        with self._session.request(method, url, allow_redirects=False, stream=True, **request) as response:
            body = b""
            for chunk in response.iter_content(65536):
                body += chunk
                if len(body) > MAX_BODY_SIZE:
                    break
            return response.status_code, response.headers, decode(body, response.headers.get("Content-Type", ""))

    def _failed(self, error: Exception) -> Answer:
        timed_out = self._transport.timed_out or isinstance(error, requests.ReadTimeout)
        problems = (Problem("", _describe_failure(error, timed_out=timed_out)),)
        if self._transport.canceled:
            return Answer(meaning=Meaning.RETRY, problems=problems)
        return Answer(meaning=Meaning.UNSENT if self._transport.unsent else Meaning.UNKNOWN, problems=problems)

    def _own_secrets(self) -> tuple[str, ...]:
        own = self.credentials
        basic = base64.b64encode(f"{own.username}:{own.password}".encode()).decode()
        return own.api_key, own.password, basic


def trusted_authorities(url: str) -> str:
    """Return the path of the CA certificates that calls to `url` trust: REQUESTS_CA_BUNDLE, or those of `requests`."""
    with requests.Session() as session:
        verify = session.merge_environment_settings(url, {}, None, None, None)["verify"]
    return requests.utils.DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)


@dataclass(frozen=True)
class Bearer(requests.auth.AuthBase):
    """An access token for `auth`. If it were only a header, an entry for the host in `.netrc` would replace it."""

    token: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def _interpret(status: int, headers: Mapping[str, str], text: str, read: Reader) -> Answer:
    body, kept = parse_json(text), storable(text)
    if 200 <= status < 300:
        return replace(read(body) or Answer(meaning=Meaning.UNKNOWN), status=status, body=kept)
    problems = parse_problems(body)
    meaning = classify(status, problems, read_mashery_code(headers, text))
    return Answer(meaning=meaning, status=status, problems=problems, body=kept, retry_after=read_retry_after(headers))


def decode(body: bytes, content_type: str) -> str:
    """Return the text of a body. JSON is UTF-8 (RFC 8259, 8.1); an HTML page from a proxy can have any encoding.

    A body that is valid UTF-8 is read as UTF-8, whatever `content_type` says, so that secrets in it are recognized.
    """
    encoding: str = json.detect_encoding(body)
    if encoding == "utf-8":
        try:
            return body.decode()
        except UnicodeDecodeError:
            encoding = _charset(content_type)
    try:
        return body.decode(encoding, errors="replace").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    except (LookupError, UnicodeError):  # An encoding that does not exist, or is not for text.
        return body.decode(errors="replace")


def _charset(content_type: str) -> str:
    described = Message()
    described["Content-Type"] = content_type
    try:
        return described.get_content_charset("utf-8")
    except TypeError:  # A parameter both whole and in parts (RFC 2231), for which Python's parser crashes.
        return "utf-8"


def _describe_failure(error: BaseException, *, timed_out: bool) -> str:
    """Return why there was no answer, without the URL (and the API key in it), which only outer exceptions contain."""
    seen = [error]
    while inner := seen[-1].__cause__ or seen[-1].__context__:
        seen.append(inner)
    for each in seen:
        if isinstance(each, CallCanceled):
            return str(each)
    if timed_out:
        return "We ended the call, because no complete answer came in time (CONSTANT_CONTACT_TIMEOUT)."
    if not any(isinstance(each, OSError | HTTPError) for each in seen):
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error("call failed error=%s at=%s:%s", type(error).__name__, where.filename, where.lineno)
    if refused := re.match(r"Tunnel connection failed: ([0-9]{3})", str(seen[-1])):
        return f"The proxy refused to connect to the provider (HTTP {refused[1]}). Check HTTPS_PROXY and the proxy."
    by = "No answer from the proxy" if any(isinstance(each, ProxyError) for each in seen) else "No answer"
    text = getattr(seen[-1], "strerror", None)
    return f"{by}: {type(seen[-1]).__name__}" + (f" ({storable(str(text))})" if text else "")
