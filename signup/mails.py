"""Emails to customers who have closed the page: the account is ready, needs a correction, or was declined.

The transaction that changes an account's state also schedules its email (`Mail`). The worker sends it on a separate
thread, so a mail server that fails or hangs delays nothing else. An email is retried only if the mail server certainly
did not take it, so nobody gets it twice. Emails never repeat what a visitor typed: otherwise, anyone could use the
form to send their own words to anyone.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import timedelta
from email.utils import formataddr, make_msgid, parseaddr
from smtplib import SMTPRecipientsRefused, SMTPResponseException
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import UUID, uuid4

from django.conf import settings
from django.core import mail
from django.core.signing import TimestampSigner
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.models import Account
from provisioning.rules.rule import Text
from provisioning.services.workers import ending
from signup import abuse, visitors, visits
from signup.brand.colors import USUAL_COLOR, palette
from signup.brand.models import brand_at
from signup.hosts import named_hosts
from signup.models import Mail, MailEvent, SentMail, Visit
from signup.progress import declined

log = logging.getLogger(__name__)

State = Account.State

DELAYS = {State.CREATED: timedelta(), State.REJECTED: timedelta(minutes=2), State.CLOSED: timedelta()}
"""State that customers get an email about → how long after the change. A customer who is still on the page can make the
correction before the email about it is due.

Of closed accounts, only declined ones get an email."""
LINK_LIFETIME = timedelta(days=3)
"""The minimum lifetime of a link. While an account needs a correction, its links don't expire."""
REMINDER_LEAD = timedelta(days=2)
"""How long before an uncorrected sign-up is closed its customer gets the one reminder."""
TEXTS: dict[str, tuple[Text, Text]] = {
    MailEvent.CREATED: (
        _("Your Constant Contact account is ready"),
        _("Your account is ready. This page shows your username and where to log in:"),
    ),
    MailEvent.REJECTED: (
        _("Your Constant Contact sign-up needs a correction"),
        _(
            "There is one more thing to fix. This page shows what it is; everything you entered is kept. If you don't "
            "fix it before %(day)s, we will close your sign-up:"
        ),
    ),
    MailEvent.REMINDER: (
        _("Reminder: your Constant Contact sign-up needs a correction"),
        _(
            "Your account is not created yet, because there is one more thing to fix. If you don't fix it before "
            "%(day)s, we will close your sign-up. This page shows what it is:"
        ),
    ),
    MailEvent.CLOSED: (
        _("Your Constant Contact sign-up was declined"),
        _("You can get help or sign up again on this page:"),
    ),
}
"""The subject and text of each email. Nothing in them comes from a form."""
LINK_WORKS_SHORT, LINK_WORKS_UNTIL_THEN = _("The link works for three days."), _("The link works until then.")
FOOTER = _("If you didn't sign up, you don't need to do anything.")
MOST_TRIES = 30
MOST_A_DAY = 8
"""Emails to one mailbox. Of each kind, it gets at most one an hour."""
ANY = "any"
LONGEST_BACK_OFF = timedelta(hours=1)

SALT = "signup.mails"
_sending = threading.Lock()


def expect(account: Account, request: HttpRequest) -> None:
    """Allow emails to a customer who has just signed up, with links to this host."""
    if settings.EMAIL_URL:
        Mail.objects.create(account=account, origin=origin(request))


def plan(account: Account, to: str, **kwargs: Any) -> None:
    """Schedule the email about a change of state. It replaces an earlier one that was not sent yet."""
    if to in DELAYS or account.state in DELAYS:
        account = Account.objects.get(pk=account.pk)
        due_at = Now() + DELAYS[State(to)] if event_of(account) else None
        _plan(Mail.objects.filter(account=account), event_of(account), due_at)


def remind(username: str, email: str) -> None:
    """Send the last email again to the owner of this username, if the address entered is theirs.

    The page says the same either way, so it doesn't reveal whether the address matches.
    """
    account = Account.objects.living().filter(username__iexact=username.strip(), state__in=DELAYS).first()
    if account and rules.mailbox(account.email) == rules.mailbox(email.strip()):
        nothing_due = Q(due_at=None) | Q(event=MailEvent.REMINDER)
        _plan(Mail.objects.filter(nothing_due, account=account), account.state, Now())


def event_of(account: Account) -> str:
    """Return the event that the account's customer can be told of now; empty if there is none."""
    told = account.state in DELAYS and (account.state != State.CLOSED or account.decline_reason)
    return account.state if told and not account.erased_at else ""


def send_now(account: Account) -> str:
    """Send the email about the account's state now. Return the problem; empty if the mail server took the email.

    This is for staff, so the mailbox's limits don't apply.
    """
    _plan(Mail.objects.filter(account=account), event_of(account), None)
    Mail.objects.filter(account=account).update(tries=1)  # Claimed.
    message = Mail.objects.select_related("account").get(account=account)
    visits.add(visit := uuid4(), _keys(message))
    _send(message, visit)
    return Mail.objects.get(account=account).problem


def _plan(planned: QuerySet[Mail], event: str, due_at: CombinedExpression | Now | None) -> None:
    planned.update(event=event, due_at=due_at, tries=0, sent_at=None, problem="")


def send_on_a_thread(**kwargs: Any) -> None:
    """Send due emails, unless another thread is already doing so."""
    if settings.EMAIL_URL and not _sending.locked() and _due():
        threading.Thread(target=_send_and_disconnect, name="mails").start()


def send_due() -> None:
    """Send emails until none is due, or this process is to end."""
    while not ending.is_set() and (message := _claim()):
        if message.account.erased_at:
            message.delete()
        elif wait := _count_or_wait(message, visit := uuid4()):
            _note(message, due_at=Now() + wait, tries=message.tries - 1, problem="mailbox has had enough")
        else:
            _send(message, visit)


def origin(request: HttpRequest) -> str:
    """Return the site's address with a host name that the partner has configured, never one that a visitor made up."""
    host = visitors.host_name(request)
    named = named_hosts()
    if host in named or not named or brand_at(host).host:
        return request.build_absolute_uri("/")
    return f"{request.scheme}://{named[0]}/"


def link_to(account: Account, origin: str) -> str:
    """Return a link that gives any browser that follows it access to the account's page."""
    token = TimestampSigner(salt=SALT).sign(str(account.reference))
    return urljoin(origin, f"{reverse('reopen')}?{urlencode({'token': token})}")


def read(token: str) -> Account:
    """Return the account that a link leads to. Raises BadSignature (also if it is too old) or Account.DoesNotExist."""
    signer = TimestampSigner(salt=SALT)
    account = Account.objects.get(reference=UUID(signer.unsign(token)))
    if account.state != State.REJECTED:
        signer.unsign(token, max_age=LINK_LIFETIME)
    return account


def _due() -> Mail | None:
    return Mail.objects.filter(due_at__lte=Now()).select_related("account").order_by("due_at").first()


def _claim() -> Mail | None:
    while due := _due():
        as_read = Mail.objects.filter(pk=due.pk, event=due.event, tries=due.tries, due_at__lte=Now())
        if as_read.update(due_at=None, tries=F("tries") + 1):
            due.tries += 1
            return due
    return None


def _count_or_wait(message: Mail, visit: UUID) -> timedelta:
    """Count an email against its mailbox's limits, or return how long to wait. If it must wait, it is not counted.

    Emails are counted before they are sent, so that two workers can't both send the last one that is allowed. All
    spellings of an address count as one mailbox.
    """
    of_any, alike = keys = _keys(message)
    with transaction.atomic():
        visits.lock(keys)
        sent = Visit.objects.filter(key__in=keys, at__gt=Now() - timedelta(days=1)).values_list("key", "at")
        last = max((at for key, at in sent if key == alike), default=None)
        if last and (wait := last + timedelta(hours=1) - timezone.now()) > timedelta():
            return wait
        if sum(key == of_any for key, _at in sent) >= MOST_A_DAY:
            return timedelta(hours=1)
        visits.add(visit, keys)
    return timedelta()


def _keys(message: Mail) -> tuple[str, str]:
    """Return the keys that an email counts under: any email to this mailbox, and those of this kind."""
    mailbox = rules.mailbox(message.account.email)
    return abuse.key("mail", f"{ANY} {mailbox}"), abuse.key("mail", f"{message.event} {mailbox}")


def _send_and_disconnect() -> None:
    with _sending:
        try:
            send_due()
        except Exception:
            log.exception("sending emails failed; due emails stay scheduled")
        finally:
            connection.close()


def _send(message: Mail, visit: UUID) -> None:
    """Send a claimed email and record the outcome, unless the account's state has changed meanwhile.

    The email was counted as `visit`, which is deleted if the mail server did not take it.
    """
    backend = mail.get_connection()
    try:
        backend.open()
        email = _compose(message)
    except Exception as error:
        return _try_again(message, visit, error)
    try:
        backend.send_messages([email])
    except (SMTPResponseException, SMTPRecipientsRefused) as error:
        _try_again(message, visit, error)
    except Exception as error:
        _finish(message, problem=_name(error))
    else:
        _finish(message, sent_at=Now(), problem="")
    finally:
        with suppress(Exception):
            backend.close()


def _try_again(message: Mail, visit: UUID, error: Exception) -> None:
    Visit.objects.filter(submission=visit, key__in=_keys(message)).delete()
    back_off = min(LONGEST_BACK_OFF, timedelta(minutes=2.0 ** min(message.tries - 1, 30)))
    if message.tries < MOST_TRIES:
        _note(message, problem=_name(error), due_at=Now() + back_off)
    else:
        _finish(message, problem=_name(error))


def _finish(message: Mail, *, problem: str, **outcome: Any) -> None:
    """Record that an email was sent or will not be retried. After a request for a correction, schedule the reminder."""
    SentMail.objects.create(account=message.account, event=message.event, problem=problem)
    closes_at = message.account.due_at
    if message.event == MailEvent.REJECTED and closes_at and closes_at - REMINDER_LEAD > timezone.now():
        outcome |= {"event": MailEvent.REMINDER, "due_at": closes_at - REMINDER_LEAD, "tries": 0}
    _note(message, problem=problem, **outcome)


def _note(message: Mail, **outcome: Any) -> None:
    as_claimed = Mail.objects.filter(pk=message.pk, event=message.event, tries=message.tries, due_at=None)
    as_claimed.update(**outcome)
    log.info("email tried reference=%s problem=%r", message.account.reference, outcome["problem"])


def _name(error: Exception) -> str:
    """Return the error's type and SMTP code, without the server's text, which may name the customer or the login."""
    return f"{type(error).__name__} {getattr(error, 'smtp_code', '')}".strip()


def _compose(message: Mail) -> mail.EmailMessage:
    account, page = message.account, urlsplit(message.origin)
    brand = brand_at(page.netloc)
    name, address = parseaddr(brand.sender_email or settings.DEFAULT_FROM_EMAIL)
    sender = formataddr((brand.name or name, address))
    with translation.override(account.language or settings.LANGUAGE_CODE):
        subject, text = TEXTS[message.event]
        day = date_format(localtime(account.due_at)) if account.due_at else ""
        link_works = LINK_WORKS_UNTIL_THEN if account.state == State.REJECTED else LINK_WORKS_SHORT
        link = link_to(account, message.origin)
        paragraphs = [*declined(account), str(text) % {"day": day}]
        footer = f"{link_works} {FOOTER}"
        email = mail.EmailMultiAlternatives(
            str(subject),
            "\n\n".join(str(part) for part in (*paragraphs, link, footer, brand.name) if part) + "\n",
            settings.BOUNCE_EMAIL or sender,
            [account.email],
            headers={
                "From": sender,
                "Message-ID": make_msgid(domain=page.hostname),
                "Auto-Submitted": "auto-generated",
            },
            reply_to=[brand.support_email] if brand.support_email else None,
        )
        shades = brand.shades or palette(USUAL_COLOR)
        context = {"subject": subject, "brand": brand, "paragraphs": paragraphs, "link": link, "footer": footer}
        context |= {"accent": shades["accent"], "on_accent": shades["on-accent"]}
        email.attach_alternative(render_to_string("signup/email.html", context), "text/html")
        return email
