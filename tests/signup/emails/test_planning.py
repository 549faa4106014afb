"""Customers get one email for each event that concerns them."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup import emails
from signup.models import Mail, SentMail
from tests.signup.accounts import TYPED
from tests.signup.emails.conftest import ALREADY, expecting, told_of

pytestmark = pytest.mark.django_db

State = Account.State
TYPED_WORDS = {value for name, value in TYPED.items() if name not in {"email", "country_code", "state_code"}}


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        (State.CREATED, "Your Constant Contact account is ready"),
        (State.REJECTED, "Your Constant Contact sign-up needs a correction"),
    ],
)
def test_customers_get_one_email_with_a_fixed_text(state: Account.State, subject: str) -> None:
    told_of(state)

    emails.send_due()
    emails.send_due()

    (message,) = mail.outbox
    assert (message.subject, message.to, message.from_email) == (subject, [TYPED["email"]], "signup@example.com")
    assert not [word for word in TYPED_WORDS if word in f"{message.subject} {message.body}"]
    assert Mail.objects.get().sent_at


@pytest.mark.parametrize("to", [State.QUEUED, State.UNCONFIRMED])
def test_other_moves_send_no_email(to: Account.State) -> None:
    told_of(to)

    emails.send_due()

    assert mail.outbox == []


def test_an_immediate_correction_cancels_the_email() -> None:
    moving = expecting()
    moving.move(State.REJECTED)
    emails.send_due()
    assert mail.outbox == []
    planned = Mail.objects.get()
    assert planned.due_at
    assert timedelta(minutes=1) < planned.due_at - timezone.now() <= timedelta(minutes=2)

    services.correct(Account.objects.get(), {})

    assert Mail.objects.get().due_at is None


def test_each_refusal_has_an_email_of_its_own() -> None:
    first = told_of(State.REJECTED)
    emails.send_due()
    services.correct(Account.objects.get(pk=first.pk), {})
    Account.objects.get().move(State.SENDING)

    Account.objects.get().move(State.CREATED, account_id="1")
    Mail.objects.update(due_at=ALREADY)
    emails.send_due()

    assert [message.subject for message in mail.outbox] == [
        "Your Constant Contact sign-up needs a correction",
        "Your Constant Contact account is ready",
    ]


def test_an_email_is_rolled_back_with_its_move() -> None:
    moving = expecting()

    with transaction.atomic():
        moving.move(State.CREATED, account_id="1")
        assert Mail.objects.get().due_at
        transaction.set_rollback(True)

    assert Mail.objects.get().due_at is None


def test_without_a_mail_server_no_email_is_planned(settings: Settings) -> None:
    settings.EMAIL_URL = {}

    told_of(State.CREATED)

    assert not Mail.objects.exists()


def test_a_sign_up_stores_its_host_and_language_once(client: Client) -> None:
    form = TYPED | {"submission": str(uuid.uuid4())}
    client.post("/", form, headers={"host": "localhost"})
    client.post("/", form, headers={"host": "testserver"})

    expected = Mail.objects.get()
    assert (expected.account, expected.origin) == (Account.objects.get(), "http://localhost/")
    assert expected.account.language == "en"


CLOSES_AT = datetime(2036, 5, 14, 12, tzinfo=UTC)


def to_correct() -> Account:
    """Create an account whose customer was asked for a correction before CLOSES_AT."""
    account = told_of(State.REJECTED)
    Account.objects.update(due_at=CLOSES_AT)
    emails.send_due()
    return account


class TestACorrection:
    def test_the_email_names_the_day(self) -> None:
        to_correct()

        assert "If you don't fix it before May 14, 2036, we will close your sign-up." in mail.outbox[0].body
        assert "The link works until then." in mail.outbox[0].body

    def test_the_email_names_the_first_day_of_a_month_as_in_french(self) -> None:
        told_of(State.REJECTED)
        Account.objects.update(due_at=datetime(2036, 5, 1, 12, tzinfo=UTC), language="fr")
        emails.send_due()

        assert "avant le 1er mai 2036" in mail.outbox[0].body

    def test_one_reminder_is_sent_two_days_before(self) -> None:
        to_correct()
        planned = Mail.objects.get()
        assert (planned.event, planned.due_at) == ("reminder", CLOSES_AT - timedelta(days=2))

        for _ in range(2):
            Mail.objects.filter(due_at__isnull=False).update(due_at=ALREADY)
            emails.send_due()

        assert [message.subject for message in mail.outbox] == [
            "Your Constant Contact sign-up needs a correction",
            "Reminder: your Constant Contact sign-up needs a correction",
        ]
        assert "before May 14, 2036" in mail.outbox[1].body
        assert [sent.event for sent in SentMail.objects.all()] == ["rejected", "reminder"]

    def test_a_planned_reminder_does_not_block_an_email_with_the_link(self) -> None:
        account = to_correct()

        emails.remind(account.username, account.email)

        planned = Mail.objects.get()
        assert planned.event == "rejected"
        assert planned.due_at
        assert planned.due_at <= timezone.now()

    def test_resending_after_the_reminder_plans_no_second_reminder(self) -> None:
        account = to_correct()
        Account.objects.update(due_at=timezone.now() + timedelta(days=1))

        emails.send_now(Account.objects.get(pk=account.pk))
        emails.send_due()

        assert Mail.objects.get().due_at is None
        assert [sent.event for sent in SentMail.objects.all()] == ["rejected", "rejected"]

    def test_a_corrected_sign_up_gets_no_reminder(self) -> None:
        account = to_correct()

        services.correct(Account.objects.get(pk=account.pk), {})

        assert Mail.objects.get().due_at is None


def test_an_erased_account_gets_no_email() -> None:
    services.erase(Account.objects.get(pk=told_of(State.CREATED).pk))

    emails.send_due()

    assert mail.outbox == []
    assert not Mail.objects.exists()
    assert not SentMail.objects.exists()
