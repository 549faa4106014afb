"""What each answer of Constant Contact means, as one table. Closed by default: what is not in it is unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
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
    OVER_RATE = "over_rate"
    """Nothing created: too many calls in this second."""
    OVER_QUOTA = "over_quota"
    """Nothing created: too many calls on this UTC day."""
    STOP = "stop"
    """Nothing created, and the next call would fare no better: the partner, or this program, has to be mended."""
    UNKNOWN = "unknown"
    """The account may exist. Look for it before sending it again."""


ANY = ""
TABLE: dict[tuple[int, str], Meaning] = {
    # https://developer.constantcontact.com/docs/partner-api/create-toolkit-account.html, «Response Codes»
    (400, ANY): Meaning.REFUSED,
    (401, ANY): Meaning.STOP,
    (405, ANY): Meaning.STOP,
    (406, ANY): Meaning.STOP,
    (409, ANY): Meaning.TAKEN,
    (415, ANY): Meaning.STOP,
    # The vendor's API gateway, whose errors come before those of the endpoint
    (403, "mashery.not.authorized.over.qps"): Meaning.OVER_RATE,
    (403, "mashery.not.authorized.over.ratelimit"): Meaning.OVER_QUOTA,
    (403, "mashery.not.authorized.inactive"): Meaning.STOP,
    # https://developer.constantcontact.com/api_guide/glossary_responses.html, v3's form of the same
    (403, "forbidden"): Meaning.STOP,
    (429, "throttled"): Meaning.OVER_RATE,
    (429, "quota_exceeded"): Meaning.OVER_QUOTA,
}
"""(HTTP status, error_key) → meaning; `ANY` stands for every error_key that has no line of its own."""


@dataclass(frozen=True)
class Problem:
    """One error of an answer: the vendor's key and message, and the property it names ("" where it names none)."""

    error_key: str
    error_message: str
    property: str = ""


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
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """On a page of the list: user name in small letters → account id; empty where the page does not tell it."""
    next_page: str = ""
    """On a page of the list: where the next one is; empty on the last."""


def judge(status: int, problems: tuple[Problem, ...]) -> Meaning:
    """What an answer that is not a success means."""
    keys = [problem.error_key for problem in problems] or [ANY]
    for key in (*keys, ANY):
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


def read_id(value: Any) -> str:
    """An account's number as the vendor gives it, 1 to 80 characters; empty where it is not one."""
    return plain(str(value)) if isinstance(value, str | int) and 0 < len(str(value)) <= 80 else ""


def parse_json(text: str) -> Any:
    """The value that `text` says, or None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def plain(text: str) -> str:
    """`text` as any database can store it: without NUL characters and lone surrogates."""
    return text.encode(errors="replace").decode().replace("\0", "�")
