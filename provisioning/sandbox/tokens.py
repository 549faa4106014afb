"""The access tokens that the sandbox has issued, in memory only and as digests."""

from __future__ import annotations

import hashlib
import secrets
import time


class Tokens:
    lifetime = 3600
    """Seconds for which a token is valid."""

    def __init__(self) -> None:
        self._expires_at: dict[bytes, float] = {}

    def issue(self) -> str:
        token = secrets.token_urlsafe(32)
        self._expires_at[_digest(token)] = time.time() + self.lifetime
        return token

    def is_valid(self, token: str) -> bool:
        """Whether the token was issued here and has not expired."""
        return time.time() < self._expires_at.get(_digest(token), 0)

    def expire_all(self) -> None:
        """Let all tokens expire now."""
        self._expires_at.clear()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
