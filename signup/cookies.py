"""Encrypted cookies, sealed with SEALING_KEYS: the browser can neither read nor forge them."""

from __future__ import annotations

import zlib
from typing import Any

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.core.signing import BadSignature
from django.http import HttpResponse

from provisioning.sealed import keyring


class Seal:
    """Encrypts values, with the interface of Django's signers. A value sealed for another `purpose` is refused."""

    def __init__(self, purpose: str) -> None:
        self._purpose = f"{purpose}\n".encode()

    def sign_object(self, value: Any, serializer: Any, compress: bool = True) -> str:
        return keyring().encrypt(self._purpose + zlib.compress(serializer().dumps(value))).decode()

    def unsign_object(self, text: str, serializer: Any, max_age: int | None = None) -> Any:
        """Return the value. Raises BadSignature, also if it was sealed more than `max_age` seconds ago."""
        try:
            opened = keyring().decrypt(text, max_age)
        except (InvalidToken, ValueError):
            raise BadSignature from None
        if not opened.startswith(self._purpose):
            raise BadSignature
        return serializer().loads(zlib.decompress(opened.removeprefix(self._purpose)))


class _Cookie(CookieStorage):
    cookie_name = settings.MESSAGES_COOKIE_NAME

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.signer = Seal("messages")  # It has the two methods that are called.


class Messages(FallbackStorage):
    """Messages for the next page. They name customers, so they are encrypted in the browser."""

    storage_classes = (_Cookie, SessionStorage)
    MAX_MESSAGES = 10
    """The newest messages that are kept. Where nobody reads them, they would fill the cookie, and then a session."""

    def _store(self, messages: list[Any], response: HttpResponse, *rest: Any, **named: Any) -> list[Any]:
        left: list[Any] = super()._store(messages[-self.MAX_MESSAGES :], response, *rest, **named)  # type: ignore[misc]
        return left
