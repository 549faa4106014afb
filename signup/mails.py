"""Mails to customers who have closed the window: the account is ready, needs a correction, or was declined.

What is to be told is written down in the transaction of the move itself (`Mail`), and sent by the worker, on a thread
of its own, so that a mail server that fails or hangs holds nothing up. Each is sent once: a try that surely failed is
repeated, one that may have succeeded is not. A mail says nothing that a visitor has typed, for else the form could be
made to send anybody's words to anybody.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import timedelta
from email.utils import formataddr, make_msgid, parseaddr
from smtplib import SMTPRecipientsRefused, SMTPResponseException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import UUID, uuid4

from django.conf import settings
from django.core import mail
from django.core.signing import TimestampSigner
from django.db import connection, transaction
from django.db.models import F, QuerySet
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
from signup import abuse, visitors, visits
from signup.brand.colors import USUAL_COLOR, palette
from signup.brand.models import brand_at
from signup.models import Mail, MailEvent, SentMail, Visit
from signup.progress import declined

if TYPE_CHECKING:
    from provisioning.rules.rule import Text

log = logging.getLogger(__name__)

State = Account.State

DELAYS = {State.CREATED: timedelta(), State.REJECTED: timedelta(minutes=2), State.CLOSED: timedelta()}
"""What customers are told of, and how long after it: who is still looking at the page corrects at once.

Of closed accounts, only those that were declined."""
LINK_LIVES = timedelta(days=3)
"""How long a link works at least. It works for as long as a correction is awaited, too."""
REMINDED = timedelta(days=2)
"""How long before a sign-up without a correction is closed its customer is reminded, once."""
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
"""Subject and text of each. Fixed words: nothing in them comes from a form."""
LIVES_SHORT, LIVES_UNTIL_THEN = _("The link works for three days."), _("The link works until then.")
FOOTER = _("If you didn't sign up, you don't need to do anything.")
MOST_TRIES = 30
MOST_A_DAY = 8
"""Emails to one mailbox; and never more than one of a kind in an hour."""
ANY = "any"
LONGEST_BACK_OFF = timedelta(hours=1)

SALT = "signup.mails"
_sending = threading.Lock()


def expect(account: Account, request: HttpRequest) -> None:
    """Let the customer who has just signed up be written to later, with a link to this host."""
    if settings.EMAIL_URL:
        Mail.objects.create(account=account, origin=origin(request))


def plan(account: Account, to: str, **kwargs: Any) -> None:
    """Write down what is to be told of a move; what was to be told before is out of date."""
    if to in DELAYS or account.state in DELAYS:
        account = Account.objects.get(pk=account.pk)
        due_at = Now() + DELAYS[State(to)] if event_of(account) else None
        _plan(Mail.objects.filter(account=account), event_of(account), due_at)


def remind(username: str, email: str) -> None:
    """Write once more to whoever signed up by this username, if the address entered now is theirs.

    Nobody learns by this whether it is: the page says the same either way.
    """
    account = Account.objects.living().filter(username__iexact=username.strip(), state__in=DELAYS).first()
    if account and rules.mailbox(account.email) == rules.mailbox(email.strip()):
        _plan(Mail.objects.filter(account=account, due_at=None), account.state, Now())


def event_of(account: Account) -> str:
    """Return what there is to tell about an account as it is now; empty if nothing."""
    told = account.state in DELAYS and (account.state != State.CLOSED or account.decline_reason)
    return account.state if told and not account.erased_at else ""


def send_now(account: Account) -> str:
    """Send what there is to tell, at once, and return what went wrong; empty if the mail server took it.

    It doesn't matter how many emails the mailbox got lately: this is for staff.
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
    """Send what is due, unless that is under way."""
    if settings.EMAIL_URL and not _sending.locked() and _due():
        threading.Thread(target=_send_alone, name="mails").start()


def send_due() -> None:
    """Send what is due until nothing is."""
    while message := _claim():
        if message.account.erased_at:
            message.delete()
        elif wait := _count_or_wait(message, visit := uuid4()):
            _note(message, due_at=Now() + wait, tries=message.tries - 1, problem="mailbox has had enough")
        else:
            _send(message, visit)


def origin(request: HttpRequest) -> str:
    """Return this page's address by a host name that the partner has named, never by one that a visitor made up."""
    host = visitors.host_name(request)
    named = [name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))]
    if host in named or not named or brand_at(host).host:
        return request.build_absolute_uri("/")
    return f"{request.scheme}://{named[0]}/"


def link_to(account: Account, origin: str) -> str:
    """Return a link that makes the account's page the own one of any browser that follows it."""
    token = TimestampSigner(salt=SALT).sign(str(account.reference))
    return urljoin(origin, f"{reverse('reopen')}?{urlencode({'token': token})}")


def read(token: str) -> Account:
    """Return the account that a link leads to. Raises BadSignature (also if it is too old) or Account.DoesNotExist."""
    signer = TimestampSigner(salt=SALT)
    account = Account.objects.get(reference=UUID(signer.unsign(token)))
    if account.state != State.REJECTED:
        signer.unsign(token, max_age=LINK_LIVES)
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
    """Count a mail against its mailbox before it is sent, so that two workers don't both send the last one.

    Returns how long the mailbox is to be left alone, whoever has typed its address how often, and in how many ways. If
    at all, nothing is counted.
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
    """Return what a mail counts under: any to this mailbox, and of this kind."""
    mailbox = rules.mailbox(message.account.email)
    return abuse.key("mail", f"{ANY} {mailbox}"), abuse.key("mail", f"{message.event} {mailbox}")


def _send_alone() -> None:
    with _sending:
        try:
            send_due()
        except Exception:
            log.exception("mails failed; what is due is left for later")
        finally:
            connection.close()


def _send(message: Mail, visit: UUID) -> None:
    """Send a claimed mail and write down how that went, unless there is news of the account meanwhile.

    It has been counted as `visit`, which is undone where it surely failed.
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
        _finish(message, problem=_said(error))
    else:
        _finish(message, sent_at=Now(), problem="")
    finally:
        with suppress(Exception):
            backend.close()


def _try_again(message: Mail, visit: UUID, error: Exception) -> None:
    Visit.objects.filter(submission=visit, key__in=_keys(message)).delete()
    back_off = min(LONGEST_BACK_OFF, timedelta(minutes=2.0 ** min(message.tries - 1, 30)))
    if message.tries < MOST_TRIES:
        _note(message, problem=_said(error), due_at=Now() + back_off)
    else:
        _finish(message, problem=_said(error))


def _finish(message: Mail, *, problem: str, **outcome: Any) -> None:
    """Record that a mail was sent, or that it is not tried again. A request for a correction leads to one reminder."""
    SentMail.objects.create(account=message.account, event=message.event, problem=problem)
    closes_at = message.account.due_at
    if message.event == MailEvent.REJECTED and closes_at:
        outcome |= {"event": MailEvent.REMINDER, "due_at": closes_at - REMINDED, "tries": 0}
    _note(message, problem=problem, **outcome)


def _note(message: Mail, **outcome: Any) -> None:
    as_claimed = Mail.objects.filter(pk=message.pk, event=message.event, tries=message.tries, due_at=None)
    as_claimed.update(**outcome)
    log.info("mail tried reference=%s problem=%r", message.account.reference, outcome["problem"])


def _said(error: Exception) -> str:
    """What failed, without the words of a server, which may name the customer or the login."""
    return f"{type(error).__name__} {getattr(error, 'smtp_code', '')}".strip()


def _compose(message: Mail) -> mail.EmailMessage:
    account, page = message.account, urlsplit(message.origin)
    brand = brand_at(page.netloc)
    name, address = parseaddr(brand.sender_email or settings.DEFAULT_FROM_EMAIL)
    sender = formataddr((brand.name or name, address))
    with translation.override(account.language or settings.LANGUAGE_CODE):
        subject, text = TEXTS[message.event]
        day = date_format(localtime(account.due_at)) if account.due_at else ""
        lives = LIVES_UNTIL_THEN if account.state == State.REJECTED else LIVES_SHORT
        link = link_to(account, message.origin)
        paragraphs = [*declined(account), str(text) % {"day": day}]
        footer = f"{lives} {FOOTER}"
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
