"""What the doctor finds out about the mail server."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning.models import Account
from signup import smtp
from signup.doctor import Level, mail_server
from signup.models import Mail
from tests.provisioning.work import account_in
from tests.signup.doctor.conftest import levels

pytestmark = pytest.mark.django_db


def test_a_test_message_is_sent_or_the_mail_server_is_at_fault(settings: Settings, mailoutbox: list[Any]) -> None:
    settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL = {"EMAIL_BACKEND": "any"}, "signup@example.com"
    assert levels(mail_server.check("dora@example.com")) == [Level.OK]
    assert [message.to for message in mailoutbox] == [["dora@example.com"]]
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = f"{smtp.__name__}.EmailBackend", "127.0.0.1", 9
    assert levels(mail_server.check()) == [Level.FAILURE]


def test_emails_that_the_mail_server_refuses_are_noticed_without_a_test_message(settings: Settings) -> None:
    """A login says nothing about the sender: many servers refuse it only with an email."""
    settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL = {"EMAIL_BACKEND": "any"}, "signup@example.com"
    Mail.objects.create(
        account=account_in(Account.State.CREATED), due_at=Now(), tries=2, problem="SMTPSenderRefused 554"
    )

    (finding,) = mail_server.check()

    assert (finding.level, finding.text) == (
        Level.WARNING,
        "1 email to customers could not be sent: SMTPSenderRefused 554.",
    )
