"""Logging in at the partner's identity provider by OpenID Connect: the authorization code flow with PKCE, as Authlib
speaks it, and what Authlib leaves to its caller to be strict about.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from provisioning.rules.rule import Text

log = logging.getLogger(__name__)

TIMEOUT = 10
"""Seconds for which each answer of the provider is waited for."""
LONGEST_SUBJECT = 255
"""Characters, by OpenID Connect Core, 2."""
SIGNED = re.compile("(RS|PS|ES)(256|384|512)|EdDSA|Ed25519")
"""How a provider may sign what it says: with a key that it alone has, so neither by «none» nor with a shared secret."""


class Failed(Exception):
    """Nobody has logged in; the message says why in words for the person."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


DECLINED = _("You were not signed in, because this was declined. You can try it again.")
UNREACHABLE = _("The sign-in service cannot be reached at the moment. Please try again in a few minutes.")
WRONG = _("Signing in did not work. Perhaps it took too long, or its page was opened twice. Please try again.")


def redirect_to_provider(request: HttpRequest, name: str) -> HttpResponse:
    """Send the browser to the provider, from where it comes back to the page called `name`. Raises Failed.

    Where it is asked to do so `again`, the provider shall ask who it is, even if it knows.
    """
    asked = {"prompt": "login"} if "again" in request.GET else {}
    try:
        provider, metadata = _provider(name)
        offered = metadata.get("scopes_supported") or []
        wanted = [claim for claim in (settings.OIDC_ID_CLAIM, settings.OIDC_STAFF_CLAIM) if claim in offered]
        back = request.build_absolute_uri(reverse(name))
        response: HttpResponse = provider.authorize_redirect(
            request, back, scope=" ".join(["openid", "profile", "email", *wanted]), **asked
        )
    except Exception as error:
        raise _failure(error) from None
    return response


def read_claims(request: HttpRequest, name: str) -> dict[str, Any]:
    """Who has come back to the page called `name`, by the provider's word. Raises Failed.

    State, nonce, signature, issuer, audience and time have been checked; what only the user info says is trusted like
    what is signed, since it came from the provider over a connection of our own, about the same person.
    """
    required_claims = {
        "iss": {"essential": True, "value": settings.OIDC_ISSUER},
        "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
    }
    try:
        provider, metadata = _provider(name)
        token = provider.authorize_access_token(request, claims_options=required_claims)
        signed = dict(token["userinfo"])
        more = provider.userinfo(token=token) if "userinfo_endpoint" in metadata else {"sub": signed["sub"]}
        if not 0 < len(signed["sub"]) <= LONGEST_SUBJECT or more["sub"] != signed["sub"]:
            raise ValueError("Nobody, or the user info is about somebody else.")
    except Exception as error:
        raise _failure(error) from None
    return {**more, **signed}


def _provider(name: str) -> tuple[Any, dict[str, Any]]:
    """The provider as it describes itself now, for the log-ins that end on the page called `name`."""
    provider = OAuth().register(
        name,
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET,
        server_metadata_url=settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration",
        # The access token is used at once: one that lives shorter than Authlib's leeway of a minute is as good.
        client_kwargs={"code_challenge_method": "S256", "default_timeout": TIMEOUT, "leeway": 0},
    )
    metadata = provider.load_server_metadata()
    if metadata.get("issuer") != settings.OIDC_ISSUER:
        raise ValueError("It describes another issuer.")
    algorithms = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = [each for each in algorithms if SIGNED.fullmatch(str(each))]
    return provider, metadata


def _failure(error: Exception) -> Failed:
    """Whatever went wrong, as one of three texts, and in the log without what the provider or the browser has sent."""
    what = str(getattr(error, "error", ""))
    what = what if re.fullmatch("[a-z_]{1,40}", what) else ""
    log.warning("log-in failed error=%s %s %s", type(error).__name__, what, getattr(error, "claim", ""))
    if isinstance(error, OAuthError) and what == "access_denied":
        return Failed(DECLINED)
    # What `requests` raises where there is no answer, or none that says success, is an OSError.
    return Failed(UNREACHABLE if isinstance(error, OSError) else WRONG)
