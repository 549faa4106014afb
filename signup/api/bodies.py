"""Reading request bodies: strict JSON, so that two systems never understand the same text differently."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from signup.api.problems import Problem

MAX_BYTES = 32 * 1024
"""Ten times what the longest sign-up needs."""
MAX_DEPTH = 10
"""How deeply values may be nested. A sign-up needs two levels; functions that read a value call themselves for each."""
TYPES = {"application/json", "application/merge-patch+json"}
TOO_DEEP = "It is nested too deeply."


def read(request: HttpRequest, names: Collection[str], *, may_be_empty: bool = False) -> dict[str, Any]:
    """Return the object in the request's body. Raises Problem, also for a property that is not in `names`."""
    sent = _bytes(request)
    if not sent.strip():
        if may_be_empty:
            return {}
        raise _bad("It is empty.")
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if "Content-Encoding" in request.headers or request.content_type not in TYPES or charset != "utf-8":
        raise Problem("content_type")
    body = parse(_decoded(sent))
    if unknown := sorted(body.keys() - set(names)):
        errors = [
            {"property": name[:100], "code": "unknown_property", "message": "There is no such property."}
            for name in unknown[:20]
        ]
        raise Problem("unknown_property", errors=errors)
    return body


def parse(text: str) -> dict[str, Any]:
    """Return the JSON object. Raises Problem for everything that parsers disagree about, or databases refuse."""
    try:
        body = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(TOO_DEEP if isinstance(error, RecursionError) else _where(error)) from None
    if not isinstance(body, dict):
        raise _bad("It must be an object, like {…}.")
    _require_plain(body, MAX_DEPTH)
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise _bad("It has half of a surrogate pair.") from None
    except ValueError:  # Python reads 1e999 as infinity.
        raise _bad("It has a number that is too large.") from None
    return body


def _bytes(request: HttpRequest) -> bytes:
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        raise Problem("length_required")
    try:
        too_large = int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES or len(request.body) > MAX_BYTES
    except (RequestDataTooBig, ValueError):
        too_large = True
    except UnreadablePostError:
        raise Problem("bad_request") from None
    if too_large:
        raise Problem("too_large", most_bytes=MAX_BYTES)
    return request.body


def _decoded(sent: bytes) -> str:
    try:
        return sent.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("It is not in UTF-8.") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    together = dict(pairs)
    if len(together) != len(pairs):
        raise ValueError("It has the same name twice in one object.")
    return together


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("It has NaN or Infinity, which is not JSON.")


def _require_plain(value: Any, depth: int) -> None:
    """Raise Problem for a NUL character, and for more than `depth` levels of objects and lists."""
    if isinstance(value, str) and "\0" in value:
        raise _bad("It has a NUL character.")
    if isinstance(value, dict | list):
        if not depth:
            raise _bad(TOO_DEEP)
        for each in (*value, *value.values()) if isinstance(value, dict) else value:
            _require_plain(each, depth - 1)


def _where(error: ValueError) -> str:
    """Return what is wrong, without any part of the body: it may hold a password.

    Python's own error, apart from those of its parser, is about an integer with thousands of digits.
    """
    if isinstance(error, json.JSONDecodeError):
        return f"It is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
    return str(error) if str(error).startswith("It has") else "It has a number with too many digits."


def _bad(why: str) -> Problem:
    return Problem("bad_json", detail=f"The body can't be read. {why}")
