"""How many emails a mailbox gets."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from provisioning import rules
from signup import abuse, visits
from signup.emails.models import Mail
from signup.visits import Visit

MAX_PER_DAY = 8
"""Emails to one mailbox. It gets at most one of each kind an hour."""
MAX_PER_AREA = 5
"""Emails to one mailbox about sign-ups from one area. The others are kept for the owner, if that is a stranger's."""
ANY = "any"
LIMIT_REACHED = "email limit of this mailbox reached"


def count_or_wait(message: Mail, visit: UUID) -> timedelta:
    """Count an email against its mailbox's limits, or return how long to wait. If it must wait, it is not counted.

    Emails are counted before they are sent, so that two workers can't both send the last one that is allowed. All
    spellings of an address count as one mailbox.
    """
    of_any, alike, *of_area = counted = keys(message)
    with transaction.atomic():
        visits.lock(counted)
        sent = Visit.objects.filter(key__in=counted, at__gt=Now() - timedelta(days=1)).values_list("key", "at")
        last = max((at for key, at in sent if key == alike), default=None)
        if last and (wait := last + timedelta(hours=1) - timezone.now()) > timedelta():
            return wait
        times = Counter(key for key, _at in sent)
        if times[of_any] >= MAX_PER_DAY or any(times[key] >= MAX_PER_AREA for key in of_area):
            return timedelta(hours=1)
        visits.add(visit, counted)
    return timedelta()


def keys(message: Mail) -> list[str]:
    """Return the keys that an email counts under: to this mailbox any, those of this kind, and those from this area."""
    mailbox = rules.mailbox(message.account.email)
    of_area = [message.area] if message.area else []
    return [abuse.key("mail", f"{each} {mailbox}") for each in (ANY, message.event, *of_area)]
