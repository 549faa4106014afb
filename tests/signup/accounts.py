"""Helpers for the page's tests: what a customer types, and accounts in any state with their evidence."""

import re
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils import timezone

from provisioning.models import Account, Attempt
from provisioning.sealed import Sealed
from signup import own_accounts
from tests.provisioning.values import SIGN_UP

CANARY = "canary-customer-password"

TYPED: dict[str, str] = {**SIGN_UP, "website": "https://bakery.example.com", "password": CANARY}
"""A completely and correctly filled-in form."""


def hidden(response: Any) -> dict[str, str]:
    """Return the hidden fields of a page's form: its one-time ID, and when it was first shown."""
    return dict(
        re.findall(r'<input type="hidden" name="(submission|shown)" value="([^"]+)"', response.content.decode())
    )


def give(client: Client, account: Account, *, opened_from: str | None = None) -> None:
    """Make an account this browser's own, as one that it sent, or opened from an email."""
    request, response = HttpRequest(), HttpResponse()
    request.COOKIES = {name: cookie.value for name, cookie in client.cookies.items()}
    request.session = client.session
    own_accounts.add(request, account, response, opened_from=opened_from)
    client.cookies.update(response.cookies)


DUE = {Account.State.QUEUED, Account.State.SENDING, Account.State.UNCONFIRMED}


def account(
    state: str,
    refused: dict[str, str] | None = None,
    outcome: str = "refused",
    *,
    keys: dict[str, str] | None = None,
    **values: Any,
) -> Account:
    """Create an account in a state. `refused` has the reasons for which Constant Contact refused its last call."""
    made = Account.objects.create(
        **{
            **{name: value for name, value in TYPED.items() if name != "password"},
            "state": state,
            "submission": uuid.uuid4(),
            "username": f"anna-{Account.objects.count()}",
            "password": Sealed.of("" if state in Account.FINAL or "idp_provider_id" in values else CANARY),
            "due_at": timezone.now() if state in DUE else None,
            "account_id": str(uuid.uuid4()) if state == Account.State.CREATED else "",
            "created_at": timezone.now() if state == Account.State.CREATED else None,
            **values,
        }
    )
    if refused is not None:
        Attempt.objects.create(
            account=made,
            username=made.username,
            kind="create",
            outcome=outcome,
            status=400 if outcome == "refused" else 409,
            ended_at=timezone.now(),
            refused=refused,
            refused_keys=keys or {},
        )
    return made
