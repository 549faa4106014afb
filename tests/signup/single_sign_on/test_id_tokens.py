"""ID tokens: only the provider's own private key makes one, by whatever algorithm the token claims."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.signup.single_sign_on.provider import (
    ALGORITHMS,
    CLIENT_SECRET,
    KEYS,
    Provider,
    base64url,
    keys,
    sign,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]

Claims = dict[str, Any]
Forge = Callable[[Claims], str]


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("RS256", "rsa"), ("PS256", "rsa"), ("ES256", "ec"), ("ES384", "ec384"), ("Ed25519", "ed")]
)
def test_the_providers_own_signature_counts(client: Client, provider: Provider, algorithm: str, kid: str) -> None:
    provider.id_token = lambda claims: sign(claims, algorithm, kid)

    assert provider.come_back(client).headers["Location"] == "/"


def test_without_a_word_on_algorithms_it_is_rs256(client: Client, provider: Provider) -> None:
    del provider.description[ALGORITHMS]
    assert provider.come_back(client).status_code == 302

    provider.id_token = lambda claims: sign(claims, "ES256", "ec")
    assert provider.come_back(client).status_code == 403


def by_hand(header: dict[str, Any], sign: Callable[[bytes], bytes] = lambda signed: b"") -> Forge:
    """Return what makes a token that no library would make."""

    def make(claims: Claims) -> str:
        body = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{body}.{base64url(sign(body.encode()))}"

    return make


def with_secret(secret: bytes, algorithm: str = "HS256") -> Forge:
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
    return by_hand({"alg": algorithm, "kid": "rsa"}, lambda signed: hmac.new(secret, signed, digest).digest())


def with_the_public_key(change: Callable[[bytes], bytes] = bytes) -> Forge:
    """Return what signs with what everybody knows."""

    def make(claims: Claims) -> str:
        rsa = keys()["rsa"]
        assert isinstance(rsa, RSAKey)
        return with_secret(change(rsa.as_pem(private=False)))(claims)

    return make


def with_a_header(name: str, value: Callable[[RSAKey], Any]) -> Forge:
    """Return what signs with a key of its own, and says in the token's header that it is the right one."""

    def make(claims: Claims) -> str:
        own = RSAKey.generate_key(2048)
        return jwt.encode({"alg": "RS256", name: value(own)}, claims, own, algorithms=["RS256"])

    return make


def tampered(claims: Claims) -> str:
    head, _, signature = sign(claims).split(".")
    return f"{head}.{base64url(json.dumps(claims | {'sub': 'berta'}).encode())}.{signature}"


FORGED: dict[str, Forge] = {
    "none": by_hand({"alg": "none"}),
    "None": by_hand({"alg": "None", "kid": "rsa"}),
    "no algorithm": by_hand({"kid": "rsa"}),
    "no signature": by_hand({"alg": "RS256", "kid": "rsa"}),
    "the public key as a secret": with_the_public_key(),
    "the public key without its last line end": with_the_public_key(bytes.strip),
    "the public key in DER": with_the_public_key(lambda pem: base64.b64decode(b"".join(pem.splitlines()[1:-1]))),
    "the client secret": with_secret(CLIENT_SECRET.encode()),
    "the client secret, HS512": with_secret(CLIENT_SECRET.encode(), "HS512"),
    "no secret": with_secret(b""),
    "another RSA key": lambda claims: sign(claims, key=RSAKey.generate_key(2048)),
    "another elliptic curve key": lambda claims: sign(claims, "ES256", "ec", ECKey.generate_key("P-256")),
    "another Edwards curve key": lambda claims: sign(claims, "Ed25519", "ed", OKPKey.generate_key("Ed25519")),
    "a key in the token": with_a_header("jwk", lambda own: own.as_dict(private=False)),
    "an address of keys in the token": with_a_header("jku", lambda own: "http://127.0.0.1:9/keys"),
    "an address of certificates in the token": with_a_header("x5u", lambda own: "http://127.0.0.1:9/keys"),
    "RS256 with an elliptic curve key": by_hand({"alg": "RS256", "kid": "ec"}, lambda signed: b"\0" * 256),
    "ES256 with an RSA key": by_hand({"alg": "ES256", "kid": "rsa"}, lambda signed: b"\0" * 64),
    "ES256 of zeros": by_hand({"alg": "ES256", "kid": "ec"}, lambda signed: b"\0" * 64),
    "an unknown key": lambda claims: sign(claims, kid="nobodys", key=keys()["rsa"]),
    "an extension that must be understood": by_hand({"alg": "RS256", "kid": "rsa", "crit": ["exp"], "exp": 1}),
    "other claims than were signed": tampered,
    "no token": lambda claims: "a.b.c",
}


@pytest.mark.parametrize("how", FORGED)
@pytest.mark.parametrize(
    "offered", [["RS256", "ES256", "Ed25519"], ["none", "HS256", "HS512", "RS256", "ES256", "Ed25519"]]
)
def test_a_forged_token_proves_nothing(client: Client, provider: Provider, how: str, offered: list[str]) -> None:
    provider.description[ALGORITHMS] = offered
    provider.id_token = FORGED[how]

    answer = provider.come_back(client)

    assert answer.status_code == 403
    assert "or the login page was opened twice" in answer.text
    assert not any("proof" in session.get_decoded() for session in Session.objects.all())


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": 1},
        {"exp": None},
        {"iat": 10**11},
        {"nbf": 10**11},
        {"nonce": "another"},
        {"aud": "other"},
        {"aud": ["page", "other"], "azp": "other"},
        {"iss": "https://other.example.com"},
        {"sub": ""},
        {"sub": None},
    ],
    ids=str,
)
def test_a_signed_token_for_something_else_proves_nothing(client: Client, provider: Provider, wrong: Claims) -> None:
    provider.id_token = lambda claims: sign(
        {name: value for name, value in (claims | wrong).items() if value is not None}
    )

    assert provider.come_back(client).status_code == 403


def test_a_published_secret_signs_nothing(client: Client, provider: Provider) -> None:
    """A provider that offers only shared secrets, and publishes one with its keys, is configured wrongly."""
    shared = OctKey.import_key("canary-published-secret-of-enough-length", {"kid": "rsa"})
    provider.description[ALGORITHMS] = ["HS256"]
    provider.keys = {"keys": [shared.as_dict(private=True)]}
    provider.id_token = with_secret(b"canary-published-secret-of-enough-length")

    assert provider.come_back(client).status_code == 503
    assert KEYS not in provider.asked
