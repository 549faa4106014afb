"""What passes between the parts of the sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class Request:
    """An HTTP request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An HTTP response as it is to go out."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, data: Any, **headers: str) -> Answer:
        return cls(status, json.dumps(data).encode(), headers=headers)


class Refused(Exception):
    """The request is not carried out; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Creation:
    """A rightful request for an account. The password has been judged and is not part of it."""

    properties: dict[str, Any]
    wants_token: bool

    @property
    def username(self) -> str:
        return str(self.properties["username"])


@dataclass(frozen=True)
class Listing:
    """A rightful request for a page of the partner's accounts, from position `start` on."""

    start: int
    limit: int
    managed: bool | None = None
    """Only the accounts that the partner may log in to, or only the others; None: all."""
