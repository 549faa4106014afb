"""A mailbox gets few emails, however often a form names it."""

import time
from datetime import timedelta
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db.models import F
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup import emails
from signup.emails.limits import MAX_PER_AREA, MAX_PER_DAY
from signup.models import Mail, Visit
from tests.provisioning.work import at_once
from tests.signup.emails.conftest import ALREADY, Broken, expecting, told_of

pytestmark = pytest.mark.django_db

State = Account.State
SAME = ("victim@gmail.com", "v.ictim+1@gmail.com", "VICTIM+news@googlemail.com")


def told_alike(number: int, to: Account.State = State.CREATED, area: str = "") -> None:
    """Create another sign-up for the same mailbox, whose email is due now."""
    moving = expecting(email=SAME[number % 3], area=area)
    moving.move(to, account_id=str(number) if to == State.CREATED else "")
    Mail.objects.filter(account=moving).update(due_at=ALREADY)


def pass_hours(hours: float) -> None:
    Visit.objects.update(at=F("at") - timedelta(hours=hours))
    Mail.objects.filter(due_at__isnull=False).update(due_at=F("due_at") - timedelta(hours=hours))


def test_a_mailbox_gets_one_email_of_a_kind_per_hour_in_any_spelling() -> None:
    for number in range(3):
        told_alike(number)
    emails.send_due()
    assert len(mail.outbox) == 1

    pass_hours(0.9)
    emails.send_due()
    assert len(mail.outbox) == 1

    pass_hours(0.2)
    emails.send_due()
    assert len(mail.outbox) == 2
    pass_hours(1.1)
    emails.send_due()
    assert len(mail.outbox) == 3
    assert {message.to[0] for message in mail.outbox} == set(SAME)
    assert Mail.objects.filter(sent_at__isnull=False).count() == 3


def test_another_mailbox_or_kind_does_not_wait() -> None:
    told_alike(0)
    told_alike(1, State.REJECTED)
    told_of(State.CREATED)

    emails.send_due()

    assert len(mail.outbox) == 3


def test_emails_about_refused_corrections_are_sent_once_an_hour() -> None:
    moving = expecting()
    for number in range(4):
        Account.objects.get().move(State.REJECTED)
        Mail.objects.update(due_at=ALREADY)
        emails.send_due()
        services.correct(Account.objects.get(pk=moving.pk), {"username": f"anna-{number}"})
        Account.objects.get().move(State.SENDING)

    assert len(mail.outbox) == 1


def test_a_mailbox_gets_a_few_emails_a_day_and_the_rest_later() -> None:
    for number in range(MAX_PER_DAY + 2):
        told_alike(number)
        emails.send_due()
        pass_hours(1.1)
    emails.send_due()
    assert len(mail.outbox) == MAX_PER_DAY

    for _ in range(24):
        pass_hours(1.1)
        emails.send_due()

    assert len(mail.outbox) == MAX_PER_DAY + 2


def test_a_strangers_sign_ups_do_not_use_up_the_emails_of_their_victim() -> None:
    for number in range(20):
        told_alike(number, area="203.0.113.0/24")
    told_alike(20, area="198.51.100.0/24")
    owners = Mail.objects.latest("pk")

    for _ in range(6):
        emails.send_due()
        pass_hours(1.1)

    owners.refresh_from_db()
    assert owners.sent_at
    for _ in range(10):
        emails.send_due()
        pass_hours(1.1)
    assert len(mail.outbox) == MAX_PER_AREA + 1


def test_emails_say_where_their_sign_up_came_from_only_in_a_digest() -> None:
    expecting(area="203.0.113.0/24")
    assert "203.0.113" not in Mail.objects.get().area
    expecting(area="unknown")
    assert Mail.objects.latest("pk").area == ""


class Slow(EmailBackend):
    """A slow mail server."""

    def send_messages(self, messages: Any) -> int:
        time.sleep(0.3)
        return super().send_messages(messages)


@pytest.mark.django_db(transaction=True)
def test_concurrent_workers_send_one_email_of_a_kind(settings: Settings) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    for number in range(3):
        told_alike(number)

    at_once(3, lambda _number: emails.send_due())

    assert len(mail.outbox) == 1


def test_an_email_that_certainly_failed_does_not_count(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Broken"
    monkeypatch.setattr(Broken, "fault", SMTPRecipientsRefused({}), raising=False)
    told_alike(0)

    emails.send_due()

    assert not Visit.objects.exists()
