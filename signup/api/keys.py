"""Creating, recognizing, and revoking API keys."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import string
from contextlib import suppress
from datetime import timedelta

from django.db import Error
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from provisioning.networks import read_network
from signup import visitors
from signup.api.models import ApiKey
from signup.brand.models import LOGOS

log = logging.getLogger(__name__)

MARK = "ccs"
"""The beginning of every key, so that scanners of source code can recognize one that was published by mistake."""
LETTERS = string.ascii_lowercase + string.digits
TOKEN = re.compile(rf"({MARK}_[a-z0-9]{{8}})_[A-Za-z0-9_-]{{43}}")
"""The form of a token. Its first part is stored as the key's prefix."""
NOTED_AFTER = timedelta(minutes=1)
"""Uses within this time of the last one that was recorded are not recorded."""
UNUSED_DIGEST = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
"""A digest that no key has, to compare with if a key is unknown: both answers take equally long."""


def create(key: ApiKey) -> str:
    """Store a new key, and return its token, which the partner's system sends. It can't be read again."""
    key.prefix = f"{MARK}_{''.join(secrets.choice(LETTERS) for _ in range(8))}"
    token = f"{key.prefix}_{secrets.token_urlsafe(32)}"
    key.digest = _digest(token)
    key.save(force_insert=True)
    log.info("api key made key=%s by=%s", key.prefix, key.created_by_id or "command")
    return token


def find(token: str) -> ApiKey | None:
    """Return the key with this token; None if there is none that works now."""
    parts = TOKEN.fullmatch(token)
    keys = ApiKey.objects.select_related("brand").defer(*(f"brand__{name}" for name in LOGOS))
    key = keys.filter(prefix=parts[1], revoked_at=None).first() if parts else None
    is_right = constant_time_compare(_digest(token), key.digest if key else UNUSED_DIGEST)
    return key if key and is_right and not key.has_expired(timezone.now()) else None


def revoke(key: ApiKey) -> bool:
    """End a key for good, at once and everywhere. Return whether it worked until now."""
    done = bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now()))
    if done:
        log.info("api key revoked key=%s", key.prefix)
    return done


def of_former_staff() -> list[ApiKey]:
    """Return the keys that work and were created by somebody who has left.

    A key belongs to one of the partner's systems, which must not fail when a person leaves. But whoever created it has
    seen it.
    """
    left = Q(created_by__is_active=False) | Q(created_by__is_staff=False)
    works = Q(expires_at=None) | Q(expires_at__gt=Now())
    return list(ApiKey.objects.filter(left, works, revoked_at=None).select_related("created_by").order_by("pk"))


def bound_to(host: str) -> QuerySet[ApiKey]:
    """Return the keys that would see other sign-ups if the brand at `host` moved or was deleted.

    These are its own, and those of the default brand, which has all hosts without a brand. An expired key counts too,
    because staff can extend it.
    """
    return ApiKey.objects.filter(revoked_at=None, brand__host__in={host, ""})


def allows(key: ApiKey, request: HttpRequest) -> bool:
    """Whether the request comes from a network that may use this key."""
    if not (networks := [read_network(each) for each in key.networks.split()]):
        return True
    visitor = visitors.address(request)
    return visitor is not None and any(visitor in network for network in networks)


def note_use(key: ApiKey) -> None:
    """Record that the key is in use, at most once a minute."""
    now = timezone.now()
    if key.last_used_at and abs(now - key.last_used_at) < NOTED_AFTER:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - NOTED_AFTER) | Q(last_used_at__gt=now + NOTED_AFTER)
    with suppress(Error):  # Reading works even if nothing can be written.
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=Now())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
