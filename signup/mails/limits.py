"""How many emails a mailbox gets."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from provisioning import rules
from signup import abuse, visits
from signup.models import Mail, Visit

MAX_PER_DAY = 8
"""Emails to one mailbox. Of each kind, it gets at most one an hour."""
ANY = "any"
LIMIT_REACHED = "email limit of this mailbox reached"


def count_or_wait(message: Mail, visit: UUID) -> timedelta:
    """Count an email against its mailbox's limits, or return how long to wait. If it must wait, it is not counted.

    Emails are counted before they are sent, so that two workers can't both send the last one that is allowed. All
    spellings of an address count as one mailbox.
    """
    of_any, alike = both = keys(message)
    with transaction.atomic():
        visits.lock(both)
        sent = Visit.objects.filter(key__in=both, at__gt=Now() - timedelta(days=1)).values_list("key", "at")
        last = max((at for key, at in sent if key == alike), default=None)
        if last and (wait := last + timedelta(hours=1) - timezone.now()) > timedelta():
            return wait
        if sum(key == of_any for key, _at in sent) >= MAX_PER_DAY:
            return timedelta(hours=1)
        visits.add(visit, both)
    return timedelta()


def keys(message: Mail) -> tuple[str, str]:
    """Return the keys that an email counts under: any email to this mailbox, and those of this kind."""
    mailbox = rules.mailbox(message.account.email)
    return abuse.key("mail", f"{ANY} {mailbox}"), abuse.key("mail", f"{message.event} {mailbox}")
