"""Emails to customers: once for each event, with a link to their page, whatever the mail server does."""

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.utils import parseaddr
from html import unescape
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from django.utils import timezone, translation
from pytest_django import Settings

from provisioning import gateway, services, signals
from provisioning.models import Account
from provisioning.sandbox import Provider, Server
from signup import mails
from signup.brand.models import Brand
from signup.models import Mail, SentMail, Visit
from tests.patience import PATIENCE
from tests.provisioning.work import at_once
from tests.signup.accounts import TYPED, account

pytestmark = pytest.mark.django_db

State = Account.State
ALREADY = timezone.now() - timedelta(minutes=1)
TYPED_WORDS = {value for name, value in TYPED.items() if name not in {"email", "country_code", "state_code"}}


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


def expecting(state: str = State.SENDING, **values: Any) -> Account:
    """Create an account whose customer can get emails."""
    made = account(state, **values)
    mails.expect(made, RequestFactory().get("/", secure=True, headers={"host": "localhost"}))
    return made


def told_of(to: Account.State, **values: Any) -> Account:
    """Create an account that has just moved and whose email is due."""
    moving = expecting(**values)
    moving.move(to, account_id="1" if to == State.CREATED else "")
    Mail.objects.filter(due_at__isnull=False).update(due_at=ALREADY)
    return moving


def link_in(message: Any) -> str:
    (link,) = (word for word in message.body.split() if word.startswith("https://"))
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc) == ("https", "localhost")
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        (State.CREATED, "Your Constant Contact account is ready"),
        (State.REJECTED, "Your Constant Contact sign-up needs a correction"),
    ],
)
def test_customers_get_one_email_with_a_fixed_text(state: Account.State, subject: str) -> None:
    told_of(state)

    mails.send_due()
    mails.send_due()

    (message,) = mail.outbox
    assert (message.subject, message.to, message.from_email) == (subject, [TYPED["email"]], "signup@example.com")
    assert not [word for word in TYPED_WORDS if word in f"{message.subject} {message.body}"]
    assert Mail.objects.get().sent_at


@pytest.mark.parametrize("to", [State.QUEUED, State.UNCONFIRMED])
def test_other_moves_send_no_email(to: Account.State) -> None:
    told_of(to)

    mails.send_due()

    assert mail.outbox == []


def test_an_immediate_correction_cancels_the_email() -> None:
    moving = expecting()
    moving.move(State.REJECTED)
    mails.send_due()
    assert mail.outbox == []
    planned = Mail.objects.get()
    assert planned.due_at
    assert timedelta(minutes=1) < planned.due_at - timezone.now() <= timedelta(minutes=2)

    services.correct(Account.objects.get(), {})

    assert Mail.objects.get().due_at is None


def test_each_refusal_has_an_email_of_its_own() -> None:
    first = told_of(State.REJECTED)
    mails.send_due()
    services.correct(Account.objects.get(pk=first.pk), {})
    Account.objects.get().move(State.SENDING)

    Account.objects.get().move(State.CREATED, account_id="1")
    Mail.objects.update(due_at=ALREADY)
    mails.send_due()

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


def test_an_email_has_the_language_of_the_sign_up() -> None:
    told_of(State.CREATED)
    Account.objects.update(language="fr")
    spoken = []

    with pytest.MonkeyPatch.context() as patch:
        compose = mail.EmailMultiAlternatives

        def listen(*arguments: Any, **options: Any) -> mail.EmailMultiAlternatives:
            spoken.append(translation.get_language())
            return compose(*arguments, **options)

        patch.setattr(mail, "EmailMultiAlternatives", listen)
        mails.send_due()

    assert spoken == ["fr"]


def test_an_email_is_signed_by_the_brand_of_the_sign_ups_host() -> None:
    Brand.objects.create(host="localhost", name="Alder & Co", support_email="help@alder.example.com")
    told_of(State.CREATED)

    mails.send_due()

    (message,) = mail.outbox
    assert message.body.endswith("\n\nAlder & Co\n")
    assert message.reply_to == ["help@alder.example.com"]


def test_an_email_that_is_due_is_claimed_once() -> None:
    told_of(State.CREATED)
    Mail.objects.update(due_at=Now())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mails, "_due", iter([mails._due(), None]).__next__)
        assert mails._claim()


def from_brand(**values: str) -> Any:
    """Return a brand's email as the mail server gets it."""
    Brand.objects.create(host="localhost", name="Café Åse", **values)
    told_of(State.CREATED)
    mails.send_due()
    return mail.outbox[0], mail.outbox[0].message()


@pytest.mark.parametrize(
    ("sender", "address"), [("hi@ase.example.com", "hi@ase.example.com"), ("", "signup@example.com")]
)
def test_the_sender_has_the_address_and_name_of_the_brand(sender: str, address: str) -> None:
    message, sent = from_brand(sender_email=sender)

    assert parseaddr(str(make_header(decode_header(sent["From"])))) == ("Café Åse", address)
    assert parseaddr(message.from_email)[1] == address


def test_bounces_go_to_the_configured_address(settings: Settings) -> None:
    settings.BOUNCE_EMAIL = "bounces@example.com"

    message, sent = from_brand()

    assert message.from_email == "bounces@example.com"
    assert parseaddr(sent["From"])[1] == "signup@example.com"


def test_headers_mark_it_as_automatic_and_from_the_pages_host() -> None:
    _message, sent = from_brand()

    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["Message-ID"].endswith("@localhost>")


@pytest.mark.parametrize(
    ("color", "ground"),
    [("#ffcc00", "background: #ffcc00; color: #000000"), ("", "background: #2454d6; color: #ffffff")],
)
def test_it_has_html_in_the_brands_colors_beside_the_plain_text(color: str, ground: str) -> None:
    message, _sent = from_brand(color=color)

    ((html, kind),) = message.alternatives
    (link,) = re.findall('<a href="([^"]+)"', html)
    assert kind == "text/html"
    assert "Café Åse" in html
    assert ground in html
    assert unescape(link) in message.body
    assert "Your account is ready." in html


def test_two_workers_send_one_email_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told_of(State.CREATED)
    seen_by_both = mails._due()
    assert mails._claim()

    monkeypatch.setattr(mails, "_due", iter([seen_by_both, None]).__next__)

    assert mails._claim() is None


CLOSES_AT = datetime(2036, 5, 14, 12, tzinfo=UTC)


def to_correct() -> Account:
    """Create an account whose customer was asked for a correction before CLOSES_AT."""
    account = told_of(State.REJECTED)
    Account.objects.update(due_at=CLOSES_AT)
    mails.send_due()
    return account


class TestACorrection:
    def test_the_email_names_the_day(self) -> None:
        to_correct()

        assert "If you don't fix it before May 14, 2036, we will close your sign-up:" in mail.outbox[0].body
        assert "The link works until then." in mail.outbox[0].body

    def test_one_reminder_is_sent_two_days_before(self) -> None:
        to_correct()
        planned = Mail.objects.get()
        assert (planned.event, planned.due_at) == ("reminder", CLOSES_AT - timedelta(days=2))

        for _ in range(2):
            Mail.objects.filter(due_at__isnull=False).update(due_at=ALREADY)
            mails.send_due()

        assert [message.subject for message in mail.outbox] == [
            "Your Constant Contact sign-up needs a correction",
            "Reminder: your Constant Contact sign-up needs a correction",
        ]
        assert "before May 14, 2036" in mail.outbox[1].body
        assert [sent.event for sent in SentMail.objects.all()] == ["rejected", "reminder"]

    def test_a_planned_reminder_does_not_block_an_email_with_the_link(self) -> None:
        account = to_correct()

        mails.remind(account.username, account.email)

        planned = Mail.objects.get()
        assert planned.event == "rejected"
        assert planned.due_at
        assert planned.due_at <= timezone.now()

    def test_resending_after_the_reminder_plans_no_second_reminder(self) -> None:
        account = to_correct()
        Account.objects.update(due_at=timezone.now() + timedelta(days=1))

        mails.send_now(Account.objects.get(pk=account.pk))
        mails.send_due()

        assert Mail.objects.get().due_at is None
        assert [sent.event for sent in SentMail.objects.all()] == ["rejected", "rejected"]

    def test_a_corrected_sign_up_gets_no_reminder(self) -> None:
        account = to_correct()

        services.correct(Account.objects.get(pk=account.pk), {})

        assert Mail.objects.get().due_at is None


def test_an_erased_account_gets_no_email() -> None:
    services.erase(Account.objects.get(pk=told_of(State.CREATED).pk))

    mails.send_due()

    assert mail.outbox == []
    assert not Mail.objects.exists()
    assert not SentMail.objects.exists()


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

        mails.send_due()

        failed = Mail.objects.get()
        assert failed.due_at
        assert timedelta() < failed.due_at - timezone.now() <= timedelta(minutes=1)
        assert failed.problem == type(fault).__name__
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        Mail.objects.update(due_at=ALREADY)
        mails.send_due()
        assert len(mail.outbox) == 1
        assert (Mail.objects.get().problem, Mail.objects.get().tries) == ("", 2)

    @pytest.mark.parametrize("fault", [TimeoutError(), SMTPServerDisconnected("gone")], ids=repr)
    def test_an_email_that_may_have_been_sent_is_not_retried(
        self, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        monkeypatch.setattr(Broken, "fault", fault, raising=False)
        told_of(State.CREATED)

        mails.send_due()

        failed = Mail.objects.get()
        assert (failed.due_at, failed.sent_at, failed.problem) == (None, None, type(fault).__name__)

    def test_retries_back_off_and_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Broken, "opening", True)
        monkeypatch.setattr(Broken, "fault", OSError(), raising=False)
        told_of(State.CREATED)
        pauses = []
        while Mail.objects.filter(due_at__isnull=False).update(due_at=ALREADY):
            mails.send_due()
            pauses.append(Mail.objects.get().due_at)

        assert len(pauses) == mails.MOST_TRIES
        assert pauses[-2]
        assert timedelta(minutes=59) < pauses[-2] - timezone.now() <= mails.LONGEST_BACK_OFF

    def test_a_worker_killed_while_sending_causes_no_second_email(self) -> None:
        told_of(State.CREATED)
        assert mails._claim()

        assert mails._claim() is None
        assert mails._due() is None

    def test_staff_see_the_failure(self, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Broken, "fault", SMTPServerDisconnected("gone"), raising=False)
        told_of(State.CREATED)
        mails.send_due()

        page = admin_client.get("/admin/signup/mail/").content.decode()

        assert "May not have been sent" in page
        assert "SMTPServerDisconnected" in page


class TestTheLink:
    def link(self) -> str:
        told_of(State.CREATED)
        mails.send_due()
        return link_in(mail.outbox[0])

    def test_it_opens_the_page_in_any_browser_any_number_of_times(self) -> None:
        link = self.link()
        page = f"/signup/{Account.objects.get().reference}/"

        for browser in (Client(), Client()):
            browser.head(link)
            opened = browser.get(link, follow=True)
            assert opened.redirect_chain == [(page, 302)]
            assert "Your account is ready" in opened.content.decode()

    def test_its_token_is_in_the_query_which_is_not_logged(self) -> None:
        assert self.link().startswith("/signup/open/?token=")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda link: link[:-1],
            lambda link: link.replace("token=", "token=0"),
            lambda link: link.split("?")[0],
            lambda link: f"{link.split('?')[0]}?token=%01%ff%F0%9F",
        ],
    )
    def test_a_link_that_is_not_ours_opens_nothing(self, client: Client, spoil: Callable[[str], str]) -> None:
        response = client.get(spoil(self.link()))

        assert response.status_code == 404
        assert "This link no longer works" in response.content.decode()
        assert 'href="/"' in response.content.decode()
        assert not client.session.get("accounts")

    def test_it_works_for_three_days(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        link = self.link()
        now = timezone.now().timestamp()
        lives = mails.LINK_LIFETIME.total_seconds()

        monkeypatch.setattr("django.core.signing.time.time", lambda: now + lives - 60)
        assert client.get(link).status_code == 302
        monkeypatch.setattr("django.core.signing.time.time", lambda: now + lives + 60)
        assert client.get(link).status_code == 404

    def test_it_works_as_long_as_a_correction_is_possible(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account = told_of(State.REJECTED)
        mails.send_due()
        link, now = link_in(mail.outbox[0]), timezone.now().timestamp()

        monkeypatch.setattr("django.core.signing.time.time", lambda: now + 7 * 24 * 60 * 60)
        assert client.get(link).status_code == 302
        services.close(Account.objects.get(pk=account.pk))
        assert client.get(link).status_code == 404

    def test_a_link_to_a_deleted_account_opens_nothing(self, client: Client) -> None:
        link = self.link()
        Account.objects.all().delete()

        assert client.get(link).status_code == 404


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
    monkeypatch.setattr(gateway, "LATE", 60.0)
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
            if thread.name == "mails":
                thread.join()
    assert [message.subject for message in mail.outbox] == ["Your Constant Contact account is ready"] * 2
    assert not Mail.objects.filter(sent_at=None).exists()


def test_a_failing_chore_does_not_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "_due", lambda: 1 / 0)

    done = dict(signals.chores.send_robust(object))

    assert isinstance(done.pop(mails.send_on_a_thread), ZeroDivisionError)
    assert not any(done.values())


@pytest.mark.parametrize(
    ("allowed", "host", "linked"),
    [
        (["signup.example.com"], "signup.example.com:8000", "https://signup.example.com:8000/"),
        ([".example.com", "signup.example.com"], "made-up.example.com", "https://signup.example.com/"),
        ([".example.com", "signup.example.com"], "brand.example.com", "https://brand.example.com/"),
        ([".example.com"], "any.example.com", "https://any.example.com/"),
    ],
)
def test_the_link_leads_to_a_configured_host(settings: Settings, allowed: list[str], host: str, linked: str) -> None:
    settings.ALLOWED_HOSTS = allowed
    Brand.objects.create(name="Brand", host="brand.example.com")

    mails.expect(account("sending"), RequestFactory().get("/", secure=True, headers={"host": host}))

    assert Mail.objects.get().origin == linked


SAME = ("victim@gmail.com", "v.ictim+1@gmail.com", "VICTIM+news@googlemail.com")


def told_alike(number: int, to: Account.State = State.CREATED) -> None:
    """Create another sign-up for the same mailbox, whose email is due now."""
    moving = expecting(email=SAME[number % 3])
    moving.move(to, account_id=str(number) if to == State.CREATED else "")
    Mail.objects.filter(account=moving).update(due_at=ALREADY)


def pass_hours(hours: float) -> None:
    Visit.objects.update(at=F("at") - timedelta(hours=hours))
    Mail.objects.filter(due_at__isnull=False).update(due_at=F("due_at") - timedelta(hours=hours))


def test_a_mailbox_gets_one_email_of_a_kind_per_hour_in_any_spelling() -> None:
    for number in range(3):
        told_alike(number)
    mails.send_due()
    assert len(mail.outbox) == 1

    pass_hours(0.9)
    mails.send_due()
    assert len(mail.outbox) == 1

    pass_hours(0.2)
    mails.send_due()
    assert len(mail.outbox) == 2
    pass_hours(1.1)
    mails.send_due()
    assert len(mail.outbox) == 3
    assert {message.to[0] for message in mail.outbox} == set(SAME)
    assert Mail.objects.filter(sent_at__isnull=False).count() == 3


def test_another_mailbox_or_kind_does_not_wait() -> None:
    told_alike(0)
    told_alike(1, State.REJECTED)
    told_of(State.CREATED)

    mails.send_due()

    assert len(mail.outbox) == 3


def test_emails_about_refused_corrections_are_sent_once_an_hour() -> None:
    moving = expecting()
    for number in range(4):
        Account.objects.get().move(State.REJECTED)
        Mail.objects.update(due_at=ALREADY)
        mails.send_due()
        services.correct(Account.objects.get(pk=moving.pk), {"username": f"anna-{number}"})
        Account.objects.get().move(State.SENDING)

    assert len(mail.outbox) == 1


def test_a_mailbox_gets_a_few_emails_a_day_and_the_rest_later() -> None:
    for number in range(mails.MOST_A_DAY + 2):
        told_alike(number)
        mails.send_due()
        pass_hours(1.1)
    mails.send_due()
    assert len(mail.outbox) == mails.MOST_A_DAY

    for _ in range(24):
        pass_hours(1.1)
        mails.send_due()

    assert len(mail.outbox) == mails.MOST_A_DAY + 2


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

    at_once(3, lambda _number: mails.send_due())

    assert len(mail.outbox) == 1


def test_an_email_that_certainly_failed_does_not_count(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Broken"
    monkeypatch.setattr(Broken, "fault", SMTPRecipientsRefused({}), raising=False)
    told_alike(0)

    mails.send_due()

    assert not Visit.objects.exists()
