"""Links that the partner's own system signs: a short JSON Web Token that says who the customer is.

The key alone decides the algorithm, never the token's own header: a secret for HS256, or a public key in PEM for RS256
or ES256. A link works for one page, for a short time, and once.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from signup.single_sign_on.models import UsedLink
from signup.single_sign_on.proof import NotProven, is_id

log = logging.getLogger(__name__)

MIN_SECRET_LENGTH = 32
"""Bytes: a secret for HS256 must not be shorter than the hash (RFC 7518, 3.2)."""
MAX_LIFETIME = 60 * 60
"""The longest lifetime of a link, in seconds."""
SLACK = 60
"""Seconds by which the partner's clock may differ from ours."""


BROKEN = _("This link doesn't work: part of it is missing, or it was made for another page. Please get a new one.")
EXPIRED = _("This link has expired. Please get a new one.")
USED = _("This link has already been used, and each link works only once. Please get a new one.")


@dataclass(frozen=True)
class Link:
    """The claims of a link that was signed with the right key, is for this page, and has not expired."""

    idp_provider_id: str
    partner_account_id: str
    """The partner's own ID for the account; empty if the link has none."""
    values: Mapping[str, Any]
    digest: str
    """Identifies the link without revealing anything of it."""
    expires_at: datetime

    def use_up(self) -> None:
        """Mark the link as used, for every process. Raises NotProven if it was used before."""
        UsedLink.objects.filter(expires_at__lt=Now() - timedelta(seconds=2 * SLACK)).delete()
        _row, first = UsedLink.objects.get_or_create(digest=self.digest, defaults={"expires_at": self.expires_at})
        if not first:
            raise NotProven(USED)


def key() -> tuple[str, Key]:
    """Return the algorithm for SIGNUP_LINK_KEY, and the key. Raises ValueError if it is a key of another kind."""
    text = settings.SIGNUP_LINK_KEY.encode()
    if b"-----BEGIN" not in text:
        if len(text) < MIN_SECRET_LENGTH:
            raise ValueError("too short")
        return "HS256", OctKey.import_key(text)
    public = load_pem_public_key(text)
    if isinstance(public, RSAPublicKey) and public.key_size >= 2048:
        return "RS256", RSAKey.import_key(text)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return "ES256", ECKey.import_key(text)
    raise ValueError("of another kind")


def make(idp_provider_id: str, values: Mapping[str, Any], page: str, *, lifetime: int = 600) -> str:
    """Return a token for the sign-up page at `page`, valid for `lifetime` seconds. Works with a secret key only."""
    algorithm, jwk = key()
    claims = {
        **values,
        "sub": idp_provider_id,
        "aud": page,
        "exp": int(time.time()) + lifetime,
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode({"alg": algorithm}, claims, jwk, algorithms=[algorithm])


def read(token: str, page: str) -> Link:
    """Return what the token tells the sign-up page at `page`. Raises NotProven."""
    algorithm, jwk = key()
    page = page.rstrip("/")
    required_claims = {name: {"essential": True} for name in ("sub", "aud", "exp", "jti")}
    required_claims["aud"] |= {"values": [page, f"{page}/"]}  # type: ignore[dict-item]  # With or without the slash, it is the same page.
    try:
        claims = jwt.decode(token, jwk, algorithms=[algorithm]).claims
        jwt.JWTClaimsRegistry(leeway=SLACK, **required_claims).validate(claims)  # type: ignore[arg-type]
    except ExpiredTokenError:
        raise NotProven(EXPIRED) from None
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        log.warning("sign-up link refused error=%s claim=%s", type(error).__name__, getattr(error, "claim", ""))
        raise NotProven(BROKEN) from None
    own_id = claims.get("partner_account_id") or ""
    if problem := _problem(claims, own_id):
        log.warning("sign-up link refused: %s", problem)
        raise NotProven(BROKEN)
    digest = hashlib.sha256(claims["jti"].encode(errors="replace")).hexdigest()
    return Link(claims["sub"], own_id, claims, digest, datetime.fromtimestamp(claims["exp"], UTC))


def _problem(claims: Mapping[str, Any], own_id: object) -> str:
    """Return what is wrong with the values of a token that is signed and valid now; empty if nothing is."""
    if not claims["exp"] <= time.time() + MAX_LIFETIME + SLACK:
        return f"its lifetime exceeds {MAX_LIFETIME} seconds"
    if not is_id(claims["sub"]):
        return "Constant Contact doesn't accept its sub as an ID"
    if own_id and not is_id(own_id, "partner_account_id"):
        return "Constant Contact doesn't accept its partner_account_id"
    return ""
