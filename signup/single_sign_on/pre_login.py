"""The session of visitors who haven't logged in yet. It is a sealed cookie: nobody can fill the database with it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse

from signup.cookies import Seal

LIFETIME = 60 * 60
"""Seconds: time enough to log in at the identity provider and come back."""
MAX_LENGTH = 3500
"""Characters of the cookie. Browsers keep 4,096 with its name and attributes."""


class PreLoginSession(SessionStore):
    """Like a session, but kept by the browser, which can neither read nor forge it."""

    _seal = Seal("carried")  # As in earlier releases, which read the same cookies.

    @classmethod
    def of(cls, request: HttpRequest) -> PreLoginSession:
        """Return the content of this browser's cookie, the same object for the whole request."""
        if not hasattr(request, "_pre_login"):
            request._pre_login = cls(request.COOKIES.get(settings.PRE_LOGIN_COOKIE_NAME))  # type: ignore[attr-defined]
        return request._pre_login  # type: ignore[attr-defined, no-any-return]

    def load(self) -> dict[str, Any]:
        if not self.session_key:
            return {}
        try:
            content: dict[str, Any] = self._seal.unsign_object(self.session_key, self.serializer, LIFETIME)
        except BadSignature:
            self.create()
            return {}
        return content

    def _get_session_key(self) -> str:
        return self._seal.sign_object(self._session, self.serializer)  # type: ignore[attr-defined]

    def get_session_cookie_age(self) -> int:
        return LIFETIME

    def set_cookie(self, response: HttpResponse) -> None:
        """Set or delete the cookie if its content has changed."""
        if not self.modified:
            return
        self.save()
        while self.session_key and len(self.session_key) > MAX_LENGTH and (names := list(self.keys())):
            del self[names[0]]  # The oldest. No form needs as much as this.
            self.save()
        secure = settings.SESSION_COOKIE_SECURE
        options = {"secure": secure, "httponly": True, "samesite": "Lax"}
        if self.keys():
            response.set_cookie(
                settings.PRE_LOGIN_COOKIE_NAME,
                self.session_key or "",
                max_age=LIFETIME,
                **options,  # type: ignore[arg-type]
            )
        else:
            response.delete_cookie(settings.PRE_LOGIN_COOKIE_NAME, samesite="Lax")
