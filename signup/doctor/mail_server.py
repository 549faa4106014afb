"""The check of the mail server."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core import mail
from django.template.defaultfilters import pluralize

from signup.doctor.findings import Finding, failure, ok, warning
from signup.mails.limits import LIMIT_REACHED
from signup.mails.models import Mail

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
        reason = f"{type(error).__name__} {getattr(error, 'smtp_code', '')}".strip()
        fix = "Check EMAIL_URL and DEFAULT_FROM_EMAIL."
        yield failure("Email", f"The mail server did not accept the email: {reason}.", fix)
    else:
        yield _refused() or ok(
            "Email", "A test message was sent." if to else "The login works. To send a test message, use --email."
        )


def _refused() -> Finding | None:
    """Report emails to customers that were refused: a server that takes the login may still refuse the sender."""
    refused = Mail.objects.filter(due_at__isnull=False, tries__gt=0).exclude(problem__in=("", LIMIT_REACHED))
    if not (last := refused.order_by("due_at").last()):
        return None
    size = refused.count()
    text = f"The mail server did not accept the email to {size} customer{pluralize(size)}: {last.problem}."
    return warning("Email", text, "Check EMAIL_URL and DEFAULT_FROM_EMAIL. They are sent again for about a day.")
