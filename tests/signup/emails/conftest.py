"""A mail server, and accounts whose customers are to get an email."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Account
from signup import emails
from signup.models import Mail
from tests.signup.accounts import account

State = Account.State
ALREADY = timezone.now() - timedelta(minutes=1)


class Broken(EmailBackend):
    """A mail server that fails with `fault`, either while `opening` the connection or after it got the email."""

    fault: Exception
    opening = False

    def open(self) -> bool:
        if self.opening:
            raise self.fault
        return True

    def send_messages(self, messages: Any) -> int:
        raise self.fault


@pytest.fixture(autouse=True)
def with_a_mail_server(settings: Settings) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": settings.EMAIL_BACKEND}
    settings.DEFAULT_FROM_EMAIL = "signup@example.com"


def expecting(state: str = State.SENDING, area: str = "", **values: Any) -> Account:
    """Create an account whose customer can get emails, and who signed up from an area."""
    made = account(state, **values)
    emails.enable(made, RequestFactory().get("/", secure=True, headers={"host": "localhost"}), area=area)
    return made


def told_of(to: Account.State, **values: Any) -> Account:
    """Create an account that has just moved and whose email is due."""
    moving = expecting(**values)
    moving.move(to, account_id="1" if to == State.CREATED else "")
    Mail.objects.filter(due_at__isnull=False).update(due_at=ALREADY)
    return moving
