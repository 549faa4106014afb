"""The requests that endpoints get: the body and the signed headers, by the Standard Webhooks specification.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from standardwebhooks import Webhook

from provisioning.attribution import without_personal_values
from provisioning.events.models import GRACE, Endpoint, Event
from provisioning.events.outbox import iso
from provisioning.models import Account
from provisioning.sealed import CannotOpen
from provisioning.signals import describing

PERSONAL = ("organization_name", "first_name", "last_name", "email", "phone", "website", "username")
"""The properties that endpoints get only if staff chose so."""
Further = Mapping[int | None, dict[str, Any]]
"""What other packages add to events: fields by the primary key of the account."""
USER_AGENT = f"constant-contact-signup/{settings.VERSION}"


def new_secret() -> str:
    """Return a new key for an endpoint: `whsec_` and 32 random bytes in base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def current_fields(event: Event, endpoint: Endpoint) -> dict[str, Any]:
    """Return what an event leaves out because erasing a sign-up must erase it: the values as they are now."""
    account: Account | None = event.account
    if account is None:
        return {}
    customer = {name: getattr(account, name) for name in PERSONAL}
    is_personal = endpoint.has_personal_fields and not account.erased_at
    personal = [*customer.values(), f"{account.first_name} {account.last_name}"]
    attribution = account.attribution if is_personal else without_personal_values(account.attribution, personal)
    return {
        "partner_account_id": account.partner_account_id,
        "attribution": attribution,
        "customer": customer if is_personal else None,
    }


def further_fields(events: Collection[Event]) -> Further:
    """Return what other packages know of the events' accounts now, without personal data, by account."""
    accounts = {event.account_id for event in events if event.account_id is not None}
    fields: dict[int | None, dict[str, Any]] = {pk: {} for pk in accounts}
    answers: list[tuple[Any, Any]] = describing.send(Account, accounts=accounts) if accounts else []
    for _receiver, described in answers:
        for pk in accounts:
            fields[pk] |= described[pk]
    return fields


def body(event: Event, endpoint: Endpoint, further: Further) -> str:
    """Return the body for an endpoint: the event as it was, what is known now, and personal fields, if it gets them."""
    data = event.data | current_fields(event, endpoint) | further.get(event.account_id, {})
    return json.dumps({"type": event.type, "timestamp": event.at, "data": data}, ensure_ascii=False, default=iso)


def headers(event: Event, endpoint: Endpoint, text: str) -> dict[str, str]:
    """Return the headers that prove who sent this body, now. Raises CannotOpen if the secret can't be read."""
    at = datetime.now(UTC)
    signatures = [Webhook(key).sign(event.webhook_id, at, text) for key in signing_keys(endpoint)]
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": USER_AGENT,
        "webhook-id": event.webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def signing_keys(endpoint: Endpoint) -> list[str]:
    """Return the keys that sign now: the current one, and for a time after a rotation, the previous one.

    Raises CannotOpen if there is none, or it can't be read.
    """
    if not endpoint.secret:
        raise CannotOpen("This endpoint has no signing secret. Replace it.")
    keys = [endpoint.secret.open()]
    if endpoint.previous_secret and endpoint.rotated_at and timezone.now() < endpoint.rotated_at + GRACE:
        keys.append(endpoint.previous_secret.open())
    return keys
