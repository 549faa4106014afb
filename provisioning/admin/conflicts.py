"""Messages for staff when a colleague, a customer, or a worker was faster: which accounts, what happened, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import timedelta

from django.contrib import messages
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from provisioning.audit import ASSIGNED, NOTED
from provisioning.models import Account, AuditEntry
from provisioning.templatetags.times import ago

LATELY = timedelta(days=1)
"""Older actions can't be the reason why an account has changed since its page or list was opened."""


def report_unchanged(request: HttpRequest, left: Collection[Account], chosen: int, verb: str = "changed") -> None:
    """Tell staff that nothing changed for the accounts `left`, of `chosen` in all, and why, grouped by reason."""
    groups = Counter(_what_happened(left))
    parts = "; ".join(f"{count} {pluralize(count, 'is,are')} {what}" for what, count in groups.most_common())
    messages.warning(request, f"Nothing {verb} for {len(left)} of {chosen} account{pluralize(chosen)}: {parts}.")


def report_conflict(request: HttpRequest, account: Account) -> None:
    """Tell staff that an account has changed since its page was opened, and who changed it."""
    account.refresh_from_db()
    [now] = _what_happened([account])
    messages.warning(request, f"Nothing was done: {account} has changed since you opened it. It is now {now}.")


def _what_happened(accounts: Collection[Account]) -> Iterator[str]:
    """Yield each account's state, with what was done to it lately, or how long it has been in this state."""
    entries = AuditEntry.objects.filter(account__in=accounts, at__gte=Now() - LATELY).select_related("user")
    entries = entries.exclude(what__in=(NOTED, ASSIGNED))
    last = {entry.account_id: entry for entry in entries.order_by("at", "pk")}
    for account in accounts:
        when, what = account.state_changed_at, ""
        if entry := last.get(account.pk):
            when, what = entry.at, f"{entry}, "
        yield f"{account.get_state_display()} ({what}{ago(when)})"
