"""Handing an email over to the mail server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from smtplib import SMTPRecipientsRefused, SMTPResponseException

from django.core import mail


class NotTaken(Exception):
    """Raised if the mail server certainly did not take an email. After any other exception, it may have been sent."""


def hand_over(write: Callable[[], mail.EmailMessage]) -> None:
    """Send the email that `write` returns. Raises NotTaken, or what the mail server did after it got the email."""
    backend = mail.get_connection()
    try:
        try:
            backend.open()
            email = write()
        except Exception as error:
            raise NotTaken(describe_error(error)) from error
        backend.send_messages([email])
    except (SMTPResponseException, SMTPRecipientsRefused) as error:
        raise NotTaken(describe_error(error)) from error
    finally:
        with suppress(Exception):
            backend.close()


def describe_error(error: Exception) -> str:
    """Return the error's type and SMTP code, without the server's text, which may name the recipient or the login."""
    if isinstance(error, NotTaken):
        return str(error)
    return f"{type(error).__name__} {getattr(error, 'smtp_code', '')}".strip()
