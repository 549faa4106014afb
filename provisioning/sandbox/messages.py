"""The requests and answers that the parts of the sandbox exchange."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class Request:
    """An HTTP request, as received."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An HTTP response to send."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, data: Any, **headers: str) -> Answer:
        return cls(status, json.dumps(data).encode(), headers=headers)


class Refused(Exception):
    """The request is refused; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Creation:
    """A valid request to create an account. The password was validated, and is left out."""

    properties: dict[str, Any]
    wants_token: bool

    @property
    def username(self) -> str:
        return str(self.properties["username"])


@dataclass(frozen=True)
class Listing:
    """A valid request for a page of the partner's accounts, from position `start` on."""

    start: int
    limit: int
    managed: bool | None = None
    """Only accounts that the partner may log in to (True), only the others (False), or all (None)."""
