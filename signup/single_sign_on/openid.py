"""Login at the partner's identity provider by OpenID Connect: the authorization code flow with PKCE.

Authlib implements the flow. This module adds the checks that Authlib leaves to its caller.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

from authlib.integrations.base_client import MismatchingStateError, OAuthError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from signup import visitors
from signup.single_sign_on import calls
from signup.single_sign_on.calls import Busy, NoAnswer
from signup.single_sign_on.pre_login import PreLoginSession
from signup.single_sign_on.proof import NotProven

log = logging.getLogger(__name__)

CACHED_FOR, RETRY_AFTER = 60 * 60, 15
"""Seconds for which the provider's metadata is cached, and after which a failed request for it is repeated."""
MAX_FAILURES, MAX_FAILURES_OF_AREA = 10, 50
"""How many failures of one network, and of all networks of an area, each process passes on to the provider within a
minute: anybody can make up codes, and a provider that gets too many may refuse all of ours."""
MAX_SUBJECT_LENGTH = 255
"""Characters, by OpenID Connect Core, 2."""
ALGORITHMS = "id_token_signing_alg_values_supported"
USED = frozenset(
    {
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "scopes_supported",
        ALGORITHMS,
        "_loaded_at",  # Authlib's own
    }
)
"""What is used of the provider's metadata. Authlib would take the rest for options of its own, such as `verify`."""
SIGNED = re.compile("(RS|PS|ES)(256|384|512)|EdDSA|Ed25519")
"""Algorithms that a provider may sign with. They need a private key, so neither `none` nor a shared secret counts."""

DECLINED = _("You aren't logged in, because the request was declined. You can try again.")
UNREACHABLE = _("The login service can't be reached right now. Please try again in a few minutes.")
WRONG = _("Logging in didn't work. It may have taken too long, or the login page was opened twice. Please try again.")


def redirect_to_provider(request: HttpRequest, name: str) -> HttpResponse:
    """Send the browser to the provider, which sends it back to the URL named `name`. Raises NotProven.

    With `again` in the query, the provider must ask for a fresh login and say when that was (`auth_time`).
    """
    asked = {"prompt": "login", "max_age": "0"} if "again" in request.GET else {}
    try:
        provider = _provider(name)
        metadata = provider.server_metadata
        offered = metadata.get("scopes_supported") or []
        wanted = [claim for claim in (settings.OIDC_ID_CLAIM, settings.OIDC_STAFF_CLAIM) if claim in offered]
        back = request.build_absolute_uri(reverse(name))
        response: HttpResponse = provider.authorize_redirect(
            _AuthlibRequest(request), back, scope=" ".join(["openid", "profile", "email", *wanted]), **asked
        )
    except Exception as error:
        raise _failure(error) from None
    return response


def read_claims(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return the provider's claims about the person who came back to the URL named `name`. Raises NotProven.

    Checks state, nonce, signature, issuer, audience, and time. Claims that only the user info has are trusted like the
    signed ones: the provider sent them over our own connection to it, and they are about the same `sub`.
    """
    required_claims = {
        "iss": {"essential": True, "value": settings.OIDC_ISSUER},
        "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
    }
    try:
        if any(cache.get(key, 0) >= most for key, most in _failures(request).items()):
            raise Busy
        provider = _provider(name)
        with calls.concurrency.limit():
            token = provider.authorize_access_token(_AuthlibRequest(request), claims_options=required_claims)
            signed = dict(token["userinfo"])
            has_user_info = "userinfo_endpoint" in provider.server_metadata
            more = provider.userinfo(token=token) if has_user_info else {"sub": signed["sub"]}
        if not 0 < len(signed["sub"]) <= MAX_SUBJECT_LENGTH or more["sub"] != signed["sub"]:
            raise ValueError("Nobody, or the user info is about somebody else.")
    except Exception as error:
        # With an error or a made-up state, which any page can link to, the provider is not asked.
        if "error" not in request.GET and not isinstance(error, Busy | MismatchingStateError):
            for key in _failures(request):
                cache.add(key, 0, 60)
                with suppress(ValueError):  # Expired just now.
                    cache.incr(key)
        raise _failure(error) from None
    return {**more, **signed}


def _failures(request: HttpRequest) -> dict[str, int]:
    """Return the cache keys that a failure counts under, each with its limit."""
    return {
        f"openid.failures.{visitors.network(request)}": MAX_FAILURES,
        f"openid.failures.area.{visitors.area(request)}": MAX_FAILURES_OF_AREA,
    }


class _AuthlibRequest:
    """A request as Authlib takes one, with its state in a cookie instead of the session (see `PreLoginSession`)."""

    def __init__(self, request: HttpRequest) -> None:
        self.method, self.GET, self.POST = request.method, request.GET, request.POST
        self.session = PreLoginSession.of(request)


class _MetadataCache:
    """The provider's metadata, cached. One thread at a time fetches it while others use the old copy."""

    def __init__(self) -> None:
        self._fetching = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self._issuer, self._fetched_at, self._failed = "", 0.0, False
        self._known: dict[str, Any] = {}

    def get(self, provider: Any) -> dict[str, Any]:
        """Return the metadata, or an old copy while another thread fetches it.

        Raises Busy if there is no copy yet, and whatever the request raises.
        """
        if self._issuer != settings.OIDC_ISSUER:
            self.clear()
            self._issuer = settings.OIDC_ISSUER
        if not self._is_due():
            return self._remembered()
        if not self._fetching.acquire(timeout=0 if self._failed or self._known else calls.MAX_WAIT):
            return self._remembered()
        try:
            if self._is_due():
                self._fetch(provider)
        except Exception as error:
            if not self._known:
                raise
            log.warning("the identity provider's metadata could not be refreshed error=%s", type(error).__name__)
        finally:
            self._fetching.release()
        return self._remembered()

    def _is_due(self) -> bool:
        return not self._fetched_at or time.monotonic() - self._fetched_at > (
            RETRY_AFTER if self._failed else CACHED_FOR
        )

    def _remembered(self) -> dict[str, Any]:
        if not self._known:
            raise Busy
        return self._known

    def _fetch(self, provider: Any) -> None:
        self._failed = True
        try:
            metadata = {name: value for name, value in provider.load_server_metadata().items() if name in USED}
            if metadata.get("issuer") != settings.OIDC_ISSUER:
                raise ValueError("It describes another issuer.")
            algorithms = metadata.get(ALGORITHMS) or ["RS256"]
            metadata[ALGORITHMS] = [each for each in algorithms if SIGNED.fullmatch(str(each))]
            if not metadata[ALGORITHMS]:  # Of an empty list, the library would make its own defaults.
                raise ValueError("It signs with none of the algorithms that count.")
            self._known, self._failed = metadata, False
        finally:
            self._fetched_at = time.monotonic()


metadata_cache = _MetadataCache()


def _provider(name: str) -> Any:
    """Return Authlib's client for the provider, for logins that end at the URL named `name`."""
    provider = OAuth().register(
        name,
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET,
        server_metadata_url=settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration",
        # The access token is used at once, so a lifetime shorter than Authlib's leeway of a minute doesn't matter.
        client_kwargs={"code_challenge_method": "S256", "leeway": 0},
    )
    provider.client_cls = partial(calls.Session, time.monotonic() + calls.DEADLINE)
    provider.server_metadata = dict(metadata_cache.get(provider))
    return provider


def _failure(error: Exception) -> NotProven:
    """Return the error with one of three texts. The log doesn't repeat what the provider or the browser sent."""
    what = str(getattr(error, "error", ""))
    what = what if re.fullmatch("[a-z_]{1,40}", what) else ""
    name = type(error.__cause__ if isinstance(error, NoAnswer) and error.__cause__ else error).__name__
    log.warning("login failed error=%s %s %s", name, what, getattr(error, "claim", ""))
    if isinstance(error, OAuthError) and what == "access_denied":
        return NotProven(DECLINED)
    # `requests` raises an OSError if there is no answer, or none that says success.
    return NotProven(UNREACHABLE if isinstance(error, OSError) else WRONG)
