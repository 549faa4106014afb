"""Emails to customers who have closed the page: the account is ready, needs a correction, or was declined.

The transaction that changes an account's state also schedules its email (`Mail`). The worker sends it on a separate
thread, so a mail server that fails or hangs delays nothing else. An email is retried only if the mail server certainly
did not take it, so nobody gets it twice. Emails never repeat what a visitor typed: otherwise, anyone could use the
form to send their own words to anyone.
"""

from signup.emails.links import account_of, has_mailbox, link_to, mailbox_tag, origin
from signup.emails.planning import enable, event_of, forget_area, plan, remind
from signup.emails.sending import send_due, send_now, send_on_a_thread

__all__ = [
    "account_of",
    "enable",
    "event_of",
    "forget_area",
    "has_mailbox",
    "link_to",
    "mailbox_tag",
    "origin",
    "plan",
    "remind",
    "send_due",
    "send_now",
    "send_on_a_thread",
]
