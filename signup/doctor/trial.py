"""A real account, created with Constant Contact for a test, and found in the partner's list."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator

from django.conf import settings

from provisioning import services
from provisioning.models import Account, Worker
from provisioning.services import inspection
from signup.doctor.findings import Finding, failure, ok, warning

SUBJECT = "Test account"
PATIENCE = 120.0
"""Seconds to wait for a worker to create the account."""
ENDS = (*Account.FINAL, Account.State.REJECTED)


def create_account() -> Iterator[Finding]:
    """Sign up with an address at nullmailer.com, which is reserved for tests, and look for the account in the list."""
    if settings.CONSTANT_CONTACT_IDP_PROVIDER:
        yield warning(
            SUBJECT,
            "With single sign-on, the doctor can't sign up: only a real customer can log in.",
            "Sign up once yourself.",
        )
        return
    if not Worker.objects.alive().exists():
        yield failure(SUBJECT, "No worker is running to create it.", "Start one: python manage.py provision")
        return
    account = _wait(services.submit(services.prepare(_values(), uuid.uuid4(), host="doctor")))
    call = account.attempts.last()
    evidence = f"reference {account.short_reference}, username {_mask(account.username)}"
    if call and call.status:
        evidence += f", HTTP {call.status}"
    if account.state != account.State.CREATED:
        fix = "Open it in the admin: What happened shows Constant Contact's answer."
        yield failure(SUBJECT, f"It is {account.state} ({evidence}).", fix)
        return
    evidence += f", account ID {_mask(account.account_id)}"
    if inspection.find_listed(account.account_id):
        yield ok(SUBJECT, f"It was created and is in the list ({evidence}).")
    else:
        yield warning(
            SUBJECT, f"It was created, but is not in the list yet ({evidence}).", "Check the list again in an hour."
        )


def _values() -> dict[str, object]:
    name = f"doctor-{secrets.token_hex(6)}"
    return {
        "username": name,
        "password": secrets.token_urlsafe(15),
        "organization_name": "Test of the sign-up page",
        "first_name": "Test",
        "last_name": "Account",
        "email": f"{name}@nullmailer.com",
        "phone": "020 7946 0000",
        "country_code": "GB",
    }


def _wait(account: Account) -> Account:
    deadline = time.monotonic() + PATIENCE
    while account.state not in ENDS and time.monotonic() < deadline:
        time.sleep(0.2)
        account.refresh_from_db()
    return account


def _mask(text: str) -> str:
    return f"{text[:3]}…{text[-2:]}"
