"""The check of the mail server."""

from __future__ import annotations

from collections.abc import Iterator
from smtplib import SMTPException, SMTPServerDisconnected

from django.conf import settings
from django.core import mail
from django.template.defaultfilters import pluralize

from signup.doctor.findings import Finding, failure, ok, warning
from signup.emails.sending import failing
from signup.emails.server import describe_error

TEXT = "This is a test message from your sign-up page (manage.py doctor). If you can read it, emails arrive.\n"


def check(to: str = "") -> Iterator[Finding]:
    """Log in to the mail server, and send a test message if there is an address for it."""
    if not settings.EMAIL_URL:
        yield ok("Email", "No mail server is set, so customers get no emails. To send them, set EMAIL_URL.")
        return
    try:
        backend = mail.get_connection()
        backend.open()
        if to:
            mail.EmailMessage("Test message", TEXT, settings.DEFAULT_FROM_EMAIL, [to], connection=backend).send()
        backend.close()
    except Exception as error:
        if isinstance(error, SMTPServerDisconnected) or not isinstance(error, SMTPException):
            fix = "Check that it is running, that the firewall lets you through, "
            fix += "and that EMAIL_URL has the right address, port, and encryption."
            yield failure("Email", f"The mail server does not answer: {describe_error(error)}.", fix)
        else:
            fix = "Check EMAIL_URL and DEFAULT_FROM_EMAIL."
            yield failure("Email", f"The mail server did not accept the email: {describe_error(error)}.", fix)
    else:
        yield _unsent() or ok(
            "Email", "A test message was sent." if to else "The login works. To send a test message, use --email."
        )


def _unsent() -> Finding | None:
    """Report emails to customers that were not taken: a server that takes the login may still refuse the sender."""
    if not (last := failing().order_by("due_at").last()):
        return None
    size = failing().count()
    text = f"{size} email{pluralize(size)} to customers could not be sent: {last.problem}."
    return warning("Email", text, "Check EMAIL_URL and DEFAULT_FROM_EMAIL. The emails are retried for about a day.")
