"""Fixtures for the admin's tests: accounts in every state with their evidence, and staff in every role."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from provisioning.models import Account, Attempt
from provisioning.sealed import Sealed

PASSWORD = "canary-customer-password"
TOKEN = "canary-oauth2-token"

State = Account.State
Make = Callable[..., Account]


@pytest.fixture
def make(db: None) -> Make:
    """Return a function that creates an account in a state, with only the values that this state has."""

    def account(state: str = State.QUEUED, **values: Any) -> Account:
        name = f"alder{Account.objects.count()}"
        created = state == State.CREATED
        return Account.objects.create(
            **{
                "submission": uuid.uuid4(),
                "state": state,
                "organization_name": "Alder Bakery",
                "country_code": "US",
                "state_code": "MA",
                "first_name": "Ana",
                "last_name": "Alvarez",
                "email": "ana@example.com",
                "phone": "555 0100",
                "username": name,
                "password": Sealed.of("" if state in Account.FINAL else PASSWORD),
                "account_id": f"id-{name}" if created else "",
                "oauth2_token": Sealed.of(TOKEN if created else ""),
                "created_at": timezone.now() if created else None,
                "due_at": timezone.now() + timedelta(hours=1) if state in DUE else None,
            }
            | values
        )

    return account


DUE = {State.QUEUED, State.SENDING, State.REJECTED, State.UNCONFIRMED}


def attempt(
    account: Account,
    outcome: str = Attempt.Outcome.CREATED,
    kind: str = Attempt.Kind.CREATE,
    sent: dict[str, Any] | None = None,
    **evidence: Any,
) -> Attempt:
    """Create a completed call for the account."""
    made = Attempt.objects.create(account=account, kind=kind, username=account.username, sent=sent or {})
    made.complete(outcome=outcome, duration=timedelta(seconds=0.8), **evidence)
    return made


@pytest.fixture
def admin_client(db: None, client: Client) -> Client:
    """Return a superuser's browser."""
    client.force_login(User.objects.create_superuser("dora", "dora@example.com", "dora-desk-1"))
    return client


@pytest.fixture(autouse=True)
def nothing_cached() -> None:
    cache.clear()


@pytest.fixture(autouse=True)
def quick_pages(settings: Any) -> None:
    """Serve pages without a build step, and read the header's brand for each page."""
    settings.CACHES = settings.CACHES | {"pages": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture
def as_role(db: None) -> Callable[[str], Client]:
    """Return a function that returns the browser of a staff member in a group; an empty name is no group."""

    def browser(role: str) -> Client:
        user = User.objects.create_user(f"{role.lower()}-ana", password=STAFF_PASSWORD, is_staff=True)
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return browser


ROLES = ("", "Viewer", "Operator", "Administrator")
STAFF_PASSWORD = "staff-word-1"


def page_of(account: Account) -> str:
    return reverse("admin:provisioning_account_change", args=[account.pk])


def told(response: Any) -> str:
    """Return the messages on a page."""
    return " ".join(str(message) for message in response.context["messages"])
