"""Helpers for the API's tests: keys, and a partner's system that uses one."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.test import Client

from signup.api import keys
from signup.api.models import Scope
from signup.models import ApiKey
from tests.signup.accounts import TYPED

SIGNUPS = "/api/v1/signups"
BODY: dict[str, Any] = {**TYPED, "gdpr_opt_out": False}
"""A complete and correct body of a new sign-up."""


class Partner:
    """A system of the partner's, with a key of its own."""

    def __init__(self, *scopes: str, **columns: Any) -> None:
        self.key = ApiKey(name="Website", scopes=list(scopes or Scope.values), **columns)
        self.token = keys.create(self.key)
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query, headers=self.headers)

    def send(self, path: str, body: Any = None, *, method: str = "POST", **headers: str) -> Any:
        """Send a body: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kind = headers.pop("content_type", "application/json")
        return self.client.generic(method, path, raw, content_type=kind, headers=self.headers | headers)

    def sign_up(self, idempotency_key: str = "", **changes: Any) -> Any:
        body = BODY | changes
        return self.send(SIGNUPS, body, **{"Idempotency-Key": idempotency_key or uuid.uuid4().hex})


def errors(answer: Any) -> dict[str | None, str]:
    """Return property → code of a problem's errors."""
    return {each["property"]: each["code"] for each in answer.json()["errors"]}
