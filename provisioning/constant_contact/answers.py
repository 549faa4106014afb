"""The meanings of Constant Contact's answers, in one table. Anything that it does not list is unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl


class Meaning(StrEnum):
    """The conclusion from an answer, or from not getting one."""

    CREATED = "created"
    """The account exists; `account_id` is in the answer."""
    LISTED = "listed"
    """A page of the partner's accounts."""
    REFUSED = "refused"
    """Nothing created: values in the request were refused; `problems` lists them."""
    TAKEN = "taken"
    """Nothing created by this call: the username is in use."""
    UNSENT = "unsent"
    """Nothing created: the request could not be sent. The provider may be unreachable."""
    RETRY = "retry"
    """Nothing created, and the provider is not to blame: we canceled the call, or an access token had expired."""
    NOTHING_CREATED = "nothing_created"
    """Nothing created, and the answer blames neither the values nor the partner: retry later, with backoff."""
    OVER_RATE = "over_rate"
    """Nothing created: too many calls per second."""
    OVER_QUOTA = "over_quota"
    """Nothing created: the quota for this UTC day is used up."""
    STOP = "stop"
    """Nothing created, and every further call would fail too until the partner acts."""
    UNKNOWN = "unknown"
    """The account may exist. Look for it before sending the request again."""


ANY = ""
TABLE: dict[tuple[int, str], Meaning] = {
    # docs/account-management/create-account.html on the vendor's v2 developer site, "Response Codes"
    (400, ANY): Meaning.REFUSED,
    (401, ANY): Meaning.STOP,
    (405, ANY): Meaning.NOTHING_CREATED,
    (406, ANY): Meaning.NOTHING_CREATED,
    (409, ANY): Meaning.TAKEN,
    (415, ANY): Meaning.NOTHING_CREATED,
    # Mashery, the vendor's API front end. It answers before the endpoint does; the endpoint itself never sends a 403
    (403, ANY): Meaning.NOTHING_CREATED,
    (403, "mashery.not.authorized.over.qps"): Meaning.OVER_RATE,
    (403, "mashery.not.authorized.over.ratelimit"): Meaning.OVER_QUOTA,
    (403, "mashery.not.authorized.inactive"): Meaning.STOP,
    # The same codes, from the X-Mashery-Error-Code header or a page's heading
    (403, "DEVELOPER_OVER_QPS"): Meaning.OVER_RATE,
    (403, "DEVELOPER_OVER_RATE"): Meaning.OVER_QUOTA,
    (403, "DEVELOPER_OVER_RATELIMIT"): Meaning.OVER_QUOTA,
    (403, "DEVELOPER_INACTIVE"): Meaning.STOP,
    # The v3 equivalents: https://developer.constantcontact.com/api_guide/glossary_responses.html
    (403, "forbidden"): Meaning.STOP,
    (429, ANY): Meaning.OVER_RATE,
    (429, "throttled"): Meaning.OVER_RATE,
    (429, "quota_exceeded"): Meaning.OVER_QUOTA,
    # RFC 9110, 15.4 and 15.5: the request belongs at another address, or did not get through to this one
    **{(status, ANY): Meaning.NOTHING_CREATED for status in (*range(300, 400), 404, 407, 410)},
}
"""(HTTP status, error_key) → meaning; `ANY` covers every error_key without a row of its own."""

MAX_RETRY_AFTER = timedelta(days=1)
"""Upper limit for `Retry-After`: the daily quota has been reset by then."""
MAX_TEXT_LENGTH = 255
"""Longer names in the list are cut to this many characters."""


@dataclass(frozen=True)
class Problem:
    """One error in an answer: the vendor's key and message, and the property it names ("" if none)."""

    error_key: str
    error_message: str
    property: str = ""


@dataclass(frozen=True)
class Entry:
    """One account in the partner's list, with its text as listed."""

    account_id: str
    username: str
    """v2 `username`, v3 `site_owner_name`: a username according to the contract, a person's name in the guide."""
    organization_name: str
    status: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome of one call. `status` is None if there was no HTTP answer. `body` is masked; repr hides the token."""

    meaning: Meaning
    status: int | None = None
    duration: timedelta = timedelta()
    problems: tuple[Problem, ...] = ()
    body: str = ""
    account_id: str = ""
    oauth2_token: str = field(default="", repr=False)
    lifetime: float = 0.0
    """How long an access token to the API itself is valid, in seconds."""
    retry_after: timedelta | None = None
    """How long the provider asks us to wait before the next call; None if it does not say."""
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    """List pages only: the accounts that could be read."""
    skipped: int = 0
    """List pages only: how many entries could not be read."""
    next_page: str = ""
    """List pages only: the link to the next page; empty on the last page."""

    @property
    def errors(self) -> str:
        """What the problems say, in one line; empty if there are none."""
        return "; ".join(f"{problem.error_key} {problem.error_message}".strip() for problem in self.problems)


def classify(status: int, problems: tuple[Problem, ...], mashery_code: str = "") -> Meaning:
    """Return what an answer other than a success means."""
    for key in (*(problem.error_key for problem in problems), mashery_code, ANY):
        if meaning := TABLE.get((status, key)):
            return meaning
    return Meaning.UNKNOWN


def parse_problems(body: Any) -> tuple[Problem, ...]:
    """Return the errors in a body: an array of objects, one object, or (from a proxy or front end) neither."""
    entries = body if isinstance(body, list) else [body]
    return tuple(_problem(entry) for entry in entries if isinstance(entry, dict) and "error_key" in entry)


def _problem(entry: dict[str, Any]) -> Problem:
    key, message = storable(str(entry["error_key"])), storable(str(entry.get("error_message") or ""))
    named = re.match(r"#/([a-z0-9_]+)", message)
    return Problem(key, message, named[1] if named else key.rpartition(".")[2])


def read_mashery_code(headers: Mapping[str, str], text: str) -> str:
    """Return the code with which Mashery, the vendor's API front end, refused a call; empty if it did not.

    `DEVELOPER_INACTIVE`, for example, comes in a header, `ERR_403_DEVELOPER_INACTIVE`, or as a page's heading,
    `<h1>Developer Inactive</h1>`.
    """
    code = re.search(r"DEVELOPER_\w+", headers.get("X-Mashery-Error-Code", ""))
    heading = re.search(r"<h1>[^<]*\b(Developer [\w ]+?)\s*</h1>", text[:1000], re.IGNORECASE)
    return code[0] if code else heading[1].replace(" ", "_").upper() if heading else ""


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read a number of seconds or a date (RFC 9110, 10.2.3); a date is relative to the answer's `Date`, if any."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", value):
        return min(timedelta(seconds=float(value[:9])), MAX_RETRY_AFTER)
    if (until := _read_date(value)) is None:
        return None
    wait = until - (_read_date(headers.get("Date", "")) or datetime.now(UTC))
    return min(max(wait, timedelta()), MAX_RETRY_AFTER)


def _read_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def read_page(entries: Any, next_page: Any, *, account_id: str, username: str, status: str) -> Answer | None:
    """Return a page of the list; None if it is not one. The keywords name the fields in the vendor's entries."""
    if not isinstance(entries, list) or not isinstance(next_page, str):
        return None
    read = [_read_entry(entry, account_id, username, status) for entry in entries]
    listed = tuple(entry for entry in read if entry)
    skipped = len(read) - len(listed)
    return Answer(meaning=Meaning.LISTED, entries=listed, skipped=skipped, next_page=storable(next_page))


def read_query(link: str) -> dict[str, str]:
    """Return the query of a link to another page; empty if there is none."""
    return dict(parse_qsl(link.partition("?")[2].partition("#")[0]))


def _read_entry(entry: Any, account_id: str, username: str, status: str) -> Entry | None:
    if not isinstance(entry, dict):
        return None
    listed_id, name = read_id(entry.get(account_id)), _read_text(entry.get(username))
    if not listed_id or not name:
        return None
    return Entry(listed_id, name, _read_text(entry.get("organization_name")), _read_text(entry.get(status)))


def _read_text(value: Any) -> str:
    return storable(value)[:MAX_TEXT_LENGTH] if isinstance(value, str) else ""


def read_id(value: Any) -> str:
    """Return an account ID as the vendor sends it, 1 to 80 characters; empty if `value` is not one."""
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return storable(str(value)) if is_id and 0 < len(str(value).strip()) <= 80 else ""


def parse_json(text: str) -> Any:
    """Return the value of `text`, or None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def storable(text: str) -> str:
    """Return `text` as any database can store it: without NUL characters and lone surrogates."""
    return text.encode(errors="replace").decode().replace("\0", "�")
