"""An identity provider on a socket, which answers exactly what a test wants, valid or not."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from tests.provisioning.constant_contact.peer import Peer, answering

DESCRIPTION, TOKEN, KEYS, USER_INFO = "/.well-known/openid-configuration", "/token", "/keys", "/me"
"""The paths that are asked."""
CLIENT, CLIENT_SECRET = "page", "canary-secret-of-page-" + "s" * 32
ALGORITHMS = "id_token_signing_alg_values_supported"


@cache
def keys() -> dict[str, Key]:
    """Return the provider's private keys by their IDs."""
    return {
        "rsa": RSAKey.generate_key(2048, {"kid": "rsa"}),
        "ec": ECKey.generate_key("P-256", {"kid": "ec"}),
        "ec384": ECKey.generate_key("P-384", {"kid": "ec384"}),
        "ed": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    }


def sign(claims: dict[str, Any], algorithm: str = "RS256", kid: str = "rsa", key: Key | None = None) -> str:
    return jwt.encode({"alg": algorithm, "kid": kid}, claims, key or keys()[kid], algorithms=[algorithm])


class Provider:
    """A provider where Anna is logged in. It is honest, except where a test replaces something."""

    def __init__(self, server: Peer) -> None:
        self.issuer, self._server = server.url, server
        self.description: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": self.issuer + TOKEN,
            "jwks_uri": self.issuer + KEYS,
            "userinfo_endpoint": self.issuer + USER_INFO,
            ALGORITHMS: ["RS256", "PS256", "ES256", "ES384", "Ed25519"],
        }
        self.keys: dict[str, Any] = dict(KeySet(list(keys().values())).as_dict(private=False))
        self.id_token: Callable[[dict[str, Any]], str] = sign
        """Makes the token from Anna's claims."""
        self.claims: dict[str, Any] = {}
        self.says: dict[str, Callable[[socket.socket], None]] = {}
        """Path → what writes to the connection, instead of the honest answer."""

    @property
    def asked(self) -> list[str]:
        return [request.split()[1] for request in self._server.requests]

    def say(self, connection: socket.socket) -> None:
        self.says.get(self.asked[-1], self._answer)(connection)

    def _answer(self, connection: socket.socket) -> None:
        answers: dict[str, Callable[[], object]] = {
            DESCRIPTION: lambda: self.description,
            TOKEN: lambda: {"access_token": "any", "token_type": "Bearer", "id_token": self.id_token(self.claims)},
            KEYS: lambda: self.keys,
            USER_INFO: lambda: {"sub": "anna"},
        }
        answering(200, json.dumps(answers[self.asked[-1]]()))(connection)

    def come_back(self, client: Client) -> Any:
        """Log in, and return the response when the provider has sent the browser back."""
        started = client.get("/login/")
        if started.status_code != 302:
            return started
        asked = {name: value[0] for name, value in parse_qs(urlsplit(started.headers["Location"]).query).items()}
        now = int(time.time())
        self.claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "anna",
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 60,
        }
        return client.get("/login/callback/", {"code": "made-up", "state": asked["state"]})


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
