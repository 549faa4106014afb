"""The access tokens that the sandbox has given: in memory only, and as digests."""

from __future__ import annotations

import hashlib
import secrets
import time


class Tokens:
    lifetime = 3600
    """Seconds from the moment a token is given to its end."""

    def __init__(self) -> None:
        self._ends: dict[bytes, float] = {}

    def give(self) -> str:
        token = secrets.token_urlsafe(32)
        self._ends[_digest(token)] = time.time() + self.lifetime
        return token

    def are_good_with(self, token: str) -> bool:
        """Whether the token was given here and has not ended."""
        return time.time() < self._ends.get(_digest(token), 0)

    def end(self) -> None:
        """End all that were given, before their time."""
        self._ends.clear()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
