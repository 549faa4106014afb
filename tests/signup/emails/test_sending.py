"""An email is sent once, whatever the mail server does."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from unittest.mock import Mock

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import call_command
from django.db import OperationalError
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import signals
from provisioning.gateway import permits
from provisioning.models import Account
from provisioning.sandbox import Provider, Server
from signup import emails
from signup.emails import sending
from signup.models import Mail
from tests.patience import PATIENCE
from tests.signup.emails.conftest import ALREADY, Broken, expecting, told_of

pytestmark = pytest.mark.django_db

State = Account.State


def test_an_email_that_is_due_is_claimed_once() -> None:
    told_of(State.CREATED)
    Mail.objects.update(due_at=Now())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "_due", iter([sending._due(), None]).__next__)
        assert sending._claim()


def test_two_workers_send_one_email_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told_of(State.CREATED)
    seen_by_both = sending._due()
    assert sending._claim()

    monkeypatch.setattr(sending, "_due", iter([seen_by_both, None]).__next__)

    assert sending._claim() is None


def test_an_email_whose_limits_could_not_be_counted_stays_due(monkeypatch: pytest.MonkeyPatch) -> None:
    told_of(State.CREATED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "count_or_wait", Mock(side_effect=OperationalError))
        with pytest.raises(OperationalError):
            emails.send_due()
    Mail.objects.update(due_at=F("due_at") - sending.LEASE)

    emails.send_due()

    assert len(mail.outbox) == 1


class TestTheMailServerFails:
    @pytest.fixture(autouse=True)
    def broken(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.EMAIL_BACKEND = f"{__name__}.Broken"
        monkeypatch.setattr(Broken, "opening", False)

    @pytest.mark.parametrize(
        ("opening", "fault"),
        [
            (True, ConnectionRefusedError()),
            (True, TimeoutError()),
            (False, SMTPRecipientsRefused({"anna@nullmailer.com": (451, b"later")})),
        ],
        ids=repr,
    )
    def test_an_email_that_was_certainly_not_sent_is_retried(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, opening: bool, fault: Exception
    ) -> None:
        monkeypatch.setattr(Broken, "opening", opening)
        monkeypatch.setattr(Broken, "fault", fault, raising=False)
        told_of(State.CREATED)

        emails.send_due()

        failed = Mail.objects.get()
        assert failed.due_at
        assert timedelta() < failed.due_at - timezone.now() <= timedelta(minutes=1)
        assert failed.problem == type(fault).__name__
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        Mail.objects.update(due_at=ALREADY)
        emails.send_due()
        assert len(mail.outbox) == 1
        assert (Mail.objects.get().problem, Mail.objects.get().tries) == ("", 2)

    @pytest.mark.parametrize("fault", [TimeoutError(), SMTPServerDisconnected("gone")], ids=repr)
    def test_an_email_that_may_have_been_sent_is_not_retried(
        self, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        monkeypatch.setattr(Broken, "fault", fault, raising=False)
        told_of(State.CREATED)

        emails.send_due()

        failed = Mail.objects.get()
        assert (failed.due_at, failed.sent_at, failed.problem) == (None, None, type(fault).__name__)

    def test_retries_back_off_and_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Broken, "opening", True)
        monkeypatch.setattr(Broken, "fault", OSError(), raising=False)
        told_of(State.CREATED)
        pauses = []
        while Mail.objects.filter(due_at__isnull=False).update(due_at=ALREADY):
            emails.send_due()
            pauses.append(Mail.objects.get().due_at)

        assert len(pauses) == sending.MAX_TRIES
        assert pauses[-2]
        assert timedelta(minutes=59) < pauses[-2] - timezone.now() <= sending.MAX_BACK_OFF

    def test_a_worker_killed_before_sending_leaves_the_email_due(self) -> None:
        told_of(State.CREATED)
        assert sending._claim()
        emails.send_due()
        assert not mail.outbox

        Mail.objects.update(due_at=F("due_at") - sending.LEASE)

        assert sending._claim()

    def test_a_worker_killed_while_sending_causes_no_second_email_and_staff_see_it(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Broken, "fault", SystemExit(), raising=False)
        told_of(State.CREATED)
        with pytest.raises(SystemExit):
            emails.send_due()

        assert sending._due() is None
        assert "The worker ended while it sent this." in admin_client.get("/admin/signup/mail/").content.decode()

    def test_staff_see_the_failure(self, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Broken, "fault", SMTPServerDisconnected("gone"), raising=False)
        told_of(State.CREATED)
        emails.send_due()

        page = admin_client.get("/admin/signup/mail/").content.decode()

        assert "May not have been sent" in page
        assert "SMTPServerDisconnected" in page


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[Server]:
    provider = Provider(
        settings.CONSTANT_CONTACT_API_KEY, settings.CONSTANT_CONTACT_USERNAME, settings.CONSTANT_CONTACT_PASSWORD
    )
    with Server(provider) as server:
        settings.CONSTANT_CONTACT_URL = server.url
        yield server


class Hanging(EmailBackend):
    """A mail server that doesn't respond until it is `released`."""

    released = threading.Event()

    def open(self) -> bool:
        return self.released.wait(timeout=PATIENCE)


@pytest.mark.django_db(transaction=True)
def test_a_hanging_mail_server_does_not_delay_provisioning(
    sandbox: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permits, "LATE", 60.0)
    settings.CONSTANT_CONTACT_RATE = 100
    settings.EMAIL_BACKEND = f"{__name__}.Hanging"
    told_of(State.CREATED, email="bob@nullmailer.com")
    queued = expecting(State.QUEUED, due_at=timezone.now())

    try:
        call_command("provision", once=True, threads=1)

        assert Account.objects.get(pk=queued.pk).state == State.CREATED
        assert mail.outbox == []
    finally:
        Hanging.released.set()
        for thread in threading.enumerate():
            if thread.name == "emails":
                thread.join()
    assert [message.subject for message in mail.outbox] == ["Your Constant Contact account is ready"] * 2
    assert not Mail.objects.filter(sent_at=None).exists()


def test_a_failing_chore_does_not_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_due", lambda: 1 / 0)

    done = dict(signals.chores.send_robust(object))

    assert isinstance(done.pop(emails.send_on_a_thread), ZeroDivisionError)
    assert not any(done.values())
