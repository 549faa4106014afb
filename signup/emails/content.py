"""The texts of emails: fixed ones, which repeat nothing that a visitor typed."""

from __future__ import annotations

from email.utils import formataddr, make_msgid, parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core import mail
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from provisioning.models import Account
from provisioning.rules.rule import Text
from signup.brand.colors import USUAL_COLOR, palette
from signup.brand.models import Brand, brand_at
from signup.emails.links import link_to
from signup.emails.models import EmailEvent, Mail
from signup.progress import declined
from signup.templatetags.days import day

State = Account.State

TEXTS: dict[str, tuple[Text, Text]] = {
    EmailEvent.CREATED: (
        _("Your Constant Contact account is ready"),
        _("Your account is ready. This page shows your username and where to log in:"),
    ),
    EmailEvent.REJECTED: (
        _("Your Constant Contact sign-up needs a correction"),
        _(
            "There is one more thing to fix. Everything you entered is kept. If you don't fix it before %(day)s, we "
            "will close your sign-up. This page shows what to fix:"
        ),
    ),
    EmailEvent.REMINDER: (
        _("Reminder: your Constant Contact sign-up needs a correction"),
        _(
            "Your account is not created yet, because there is one more thing to fix. If you don't fix it before "
            "%(day)s, we will close your sign-up. This page shows what to fix:"
        ),
    ),
    EmailEvent.CLOSED: (
        _("Your Constant Contact sign-up was declined"),
        _("You can get help or sign up again on this page:"),
    ),
}
"""The subject and text of each email."""
LINK_WORKS_SHORT, LINK_WORKS_UNTIL_THEN = _("The link works for three days."), _("The link works until then.")
FOOTER = _("If you didn't sign up, you don't need to do anything.")


def compose(message: Mail) -> mail.EmailMessage:
    """Return the email about an event, in the customer's language and with the brand of the page they signed up at."""
    account, page = message.account, urlsplit(message.origin)
    brand = brand_at(page.netloc)
    sender = _sender(brand)
    with translation.override(account.language or settings.LANGUAGE_CODE):
        subject, text = TEXTS[message.event]
        closes_on = day(account.due_at) if account.due_at else ""
        link_works = LINK_WORKS_UNTIL_THEN if account.state == State.REJECTED else LINK_WORKS_SHORT
        link = link_to(account, message.origin)
        paragraphs = [*declined(account), str(text) % {"day": closes_on}]
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
        context = {"subject": subject, "brand": brand, "paragraphs": paragraphs, "link": link, "footer": footer}
        email.attach_alternative(render_to_string("signup/email.html", context | _colors(brand)), "text/html")
        return email


def _sender(brand: Brand) -> str:
    """Return the `From` header: the brand's name and address, or else those of the settings."""
    name, address = parseaddr(brand.sender_email or settings.DEFAULT_FROM_EMAIL)
    return formataddr((brand.name or name, address))


def _colors(brand: Brand) -> dict[str, str]:
    shades = brand.shades or palette(USUAL_COLOR)
    return {"accent": shades["accent"], "on_accent": shades["on-accent"]}
