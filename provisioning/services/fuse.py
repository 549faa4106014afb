"""The fuse: what comes in an abnormal hour waits for staff, so that an attack cannot burn the day's quota."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models.functions import Now

from provisioning.models import Account

log = logging.getLogger(__name__)

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
NEVER_ABNORMAL = 200
"""So many sign-ups in an hour are let pass by anybody: 2 % of the calls that a standard key has for a day."""
TIMES_THE_USUAL = 10
"""A good newsletter brings some times the usual number of customers, an attack many times."""


def is_blown() -> bool:
    """Whether too many have signed up in the last hour, by what was created in the usual hour of the last week."""
    if not settings.ABUSE_PROTECTION:
        return False
    usual = cache.get_or_set("fuse.usual", _usual, HOUR.total_seconds()) or 0
    last_hour = Account.objects.filter(submitted_at__gt=Now() - HOUR).count()
    blown = last_hour >= max(NEVER_ABNORMAL, TIMES_THE_USUAL * usual)
    if blown:
        log.warning("sign-ups held for staff last_hour=%s usual=%.1f", last_hour, usual)
    return blown


def _usual() -> float:
    """Accounts created an hour: what was held or given up, as in an attack, makes no hour usual."""
    week = Account.objects.filter(state=Account.State.CREATED, submitted_at__gt=Now() - WEEK)
    return week.count() / (WEEK / HOUR)
