"""What each answer of Constant Contact means, as one table. Closed by default: what is not in it is unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any


class Meaning(StrEnum):
    """What has to be concluded from an answer, or from there being none."""

    CREATED = "created"
    """The account exists; the answer has its `account_id`."""
    LISTED = "listed"
    """A page of the partner's accounts."""
    REFUSED = "refused"
    """Nothing created, for what the request said; `problems` tell what."""
    TAKEN = "taken"
    """Nothing created by this call: the user name is in use."""
    UNSENT = "unsent"
    """Nothing created, and the next call may fare better: the request did not reach the endpoint."""
    NOTHING_CREATED = "nothing_created"
    """Nothing created, and it is nobody's fault that the answer names: retry later, with backoff."""
    OVER_RATE = "over_rate"
    """Nothing created: too many calls in this second."""
    OVER_QUOTA = "over_quota"
    """Nothing created: too many calls on this UTC day."""
    STOP = "stop"
    """Nothing created, and the next call would fare no better: the partner has to act first."""
    UNKNOWN = "unknown"
    """The account may exist. Look for it before sending it again."""


ANY = ""
TABLE: dict[tuple[int, str], Meaning] = {
    # docs/account-management/create-account.html on the vendor's v2 developer site, "Response Codes"
    (400, ANY): Meaning.REFUSED,
    (401, ANY): Meaning.STOP,
    (405, ANY): Meaning.NOTHING_CREATED,
    (406, ANY): Meaning.NOTHING_CREATED,
    (409, ANY): Meaning.TAKEN,
    (415, ANY): Meaning.NOTHING_CREATED,
    # The vendor's API gateway, whose errors come before those of the endpoint: a 403 never comes from behind it
    (403, ANY): Meaning.NOTHING_CREATED,
    (403, "mashery.not.authorized.over.qps"): Meaning.OVER_RATE,
    (403, "mashery.not.authorized.over.ratelimit"): Meaning.OVER_QUOTA,
    (403, "mashery.not.authorized.inactive"): Meaning.STOP,
    # The same in its header X-Mashery-Error-Code, or as the heading of a page
    (403, "DEVELOPER_OVER_QPS"): Meaning.OVER_RATE,
    (403, "DEVELOPER_OVER_RATE"): Meaning.OVER_QUOTA,
    (403, "DEVELOPER_OVER_RATELIMIT"): Meaning.OVER_QUOTA,
    (403, "DEVELOPER_INACTIVE"): Meaning.STOP,
    # https://developer.constantcontact.com/api_guide/glossary_responses.html, v3's form of the same
    (403, "forbidden"): Meaning.STOP,
    (429, ANY): Meaning.OVER_RATE,
    (429, "throttled"): Meaning.OVER_RATE,
    (429, "quota_exceeded"): Meaning.OVER_QUOTA,
    # RFC 9110, 15.4 and 15.5: the request was meant for another address, or stopped on the way to this one
    **{(status, ANY): Meaning.NOTHING_CREATED for status in (*range(300, 400), 404, 407, 410)},
}
"""(HTTP status, error_key) → meaning; `ANY` stands for every error_key that has no line of its own."""

LONGEST_RETRY_AFTER = timedelta(days=1)
"""What a `Retry-After` beyond the next reset of the daily quota is cut to."""
LONGEST_TEXT = 255
"""Characters of a listed name that are kept."""


@dataclass(frozen=True)
class Problem:
    """One error of an answer: the vendor's key and message, and the property it names ("" where it names none)."""

    error_key: str
    error_message: str
    property: str = ""


@dataclass(frozen=True)
class Entry:
    """One account in the partner's list, its texts as listed."""

    account_id: str
    username: str
    """v2 `username`, v3 `site_owner_name`: by the contract the username, by the guide a person's name."""
    organization_name: str
    status: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome of one call. `status` is None where no HTTP answer came; `body` is masked; the token is not shown."""

    meaning: Meaning
    status: int | None = None
    duration: timedelta = timedelta()
    problems: tuple[Problem, ...] = ()
    body: str = ""
    account_id: str = ""
    oauth2_token: str = field(default="", repr=False)
    lifetime: float = 0.0
    """Of an access token to the API itself, in seconds."""
    retry_after: timedelta | None = None
    """How long the provider asks to wait before the next call; None where it does not say."""
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    """On a page of the list: the accounts that could be read."""
    skipped: int = 0
    """On a page of the list: how many entries could not be read."""
    next_page: str = ""
    """On a page of the list: where the next one is; empty on the last."""


def judge(status: int, problems: tuple[Problem, ...], gateway_code: str = "") -> Meaning:
    """What an answer that is not a success means."""
    for key in (*(problem.error_key for problem in problems), gateway_code, ANY):
        if meaning := TABLE.get((status, key)):
            return meaning
    return Meaning.UNKNOWN


def parse_problems(body: Any) -> tuple[Problem, ...]:
    """The errors of an answer: an array of objects, one object, or (from gateways) nothing of the kind."""
    entries = body if isinstance(body, list) else [body]
    return tuple(_problem(entry) for entry in entries if isinstance(entry, dict) and "error_key" in entry)


def _problem(entry: dict[str, Any]) -> Problem:
    key, message = plain(str(entry["error_key"])), plain(str(entry.get("error_message") or ""))
    named = re.match(r"#/([a-z0-9_]+)", message)
    return Problem(key, message, named[1] if named else key.rpartition(".")[2])


def read_gateway_code(headers: Mapping[str, str], text: str) -> str:
    """The code with which the API gateway itself refuses a call, like `DEVELOPER_INACTIVE`; empty where it is not it.

    It is in a header, `ERR_403_DEVELOPER_INACTIVE`, or the heading of a page, `<h1>Developer Inactive</h1>`.
    """
    code = re.search(r"DEVELOPER_\w+", headers.get("X-Mashery-Error-Code", ""))
    heading = re.search(r"<h1>[^<]*\b(Developer [\w ]+?)\s*</h1>", text[:1000], re.IGNORECASE)
    return code[0] if code else heading[1].replace(" ", "_").upper() if heading else ""


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds, or a date, which counts from the answer's own `Date` where it has one."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", said):
        return min(timedelta(seconds=float(said[:9])), LONGEST_RETRY_AFTER)
    if (until := _read_date(said)) is None:
        return None
    wait = until - (_read_date(headers.get("Date", "")) or datetime.now(UTC))
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)


def _read_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def read_page(entries: Any, next_page: Any, *, account_id: str, username: str, status: str) -> Answer | None:
    """A page of the list, whose entries have these names for what is read; None where it is no such page."""
    if not isinstance(entries, list) or not isinstance(next_page, str):
        return None
    read = [_read_entry(entry, account_id, username, status) for entry in entries]
    listed = tuple(entry for entry in read if entry)
    return Answer(meaning=Meaning.LISTED, entries=listed, skipped=len(read) - len(listed), next_page=next_page)


def _read_entry(entry: Any, account_id: str, username: str, status: str) -> Entry | None:
    if not isinstance(entry, dict):
        return None
    number, name = read_id(entry.get(account_id)), _read_text(entry.get(username))
    if not number or not name:
        return None
    return Entry(number, name, _read_text(entry.get("organization_name")), _read_text(entry.get(status)))


def _read_text(value: Any) -> str:
    return plain(value)[:LONGEST_TEXT] if isinstance(value, str) else ""


def read_id(value: Any) -> str:
    """An account ID as the vendor gives it, 1 to 80 characters; empty where it is not one."""
    is_one = isinstance(value, str | int) and not isinstance(value, bool)
    return plain(str(value)) if is_one and 0 < len(str(value).strip()) <= 80 else ""


def parse_json(text: str) -> Any:
    """The value that `text` says, or None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def plain(text: str) -> str:
    """`text` as any database can store it: without NUL characters and lone surrogates."""
    return text.encode(errors="replace").decode().replace("\0", "�")
