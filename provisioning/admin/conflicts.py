"""Messages for staff when a colleague, a customer, or a worker was faster: which accounts, what happened, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import timedelta

from django.contrib import messages
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from provisioning.admin_site.words import lower_first
from provisioning.audit import ASSIGNED, NOTED
from provisioning.models import Account, AuditEntry
from provisioning.templatetags.times import ago

LATELY = timedelta(days=1)
"""Older actions can't be the reason why an account has changed since its page or list was opened."""


def report_unchanged(request: HttpRequest, left: Collection[Account], chosen: int, verb: str = "changed") -> None:
    """Tell staff that nothing changed for the accounts `left`, of `chosen` in all, and why, grouped by reason."""
    groups = Counter(_what_happened(left)).most_common()
    if chosen == 1:
        messages.warning(request, f"Nothing {verb}: the account is now {groups[0][0]}.")
        return
    parts = "; ".join(f"{count} {pluralize(count, 'is,are')} now {what}" for what, count in groups)
    messages.warning(request, f"Nothing {verb} for {len(left)} of {chosen} accounts: {parts}.")


def report_conflict(request: HttpRequest, account: Account) -> None:
    """Tell staff that an account has changed since its page was opened, and who changed it."""
    account.refresh_from_db()
    [now] = _what_happened([account])
    messages.warning(request, f"Nothing was done: {account} has changed since you opened it. It is now {now}.")


def _what_happened(accounts: Collection[Account]) -> Iterator[str]:
    """Yield each account's state as part of a sentence, with what was done to it lately, or when the state changed."""
    entries = AuditEntry.objects.filter(account__in=accounts, at__gte=Now() - LATELY).select_related("user")
    entries = entries.exclude(what__in=(NOTED, ASSIGNED))
    last = {entry.account_id: entry for entry in entries.order_by("at", "pk")}
    for account in accounts:
        entry = last.get(account.pk)
        why = f"{lower_first(str(entry))}, {ago(entry.at)}" if entry else f"changed {ago(account.state_changed_at)}"
        state = "being sent" if account.state == Account.State.SENDING else account.get_state_display().lower()
        yield f"{state} ({why})"
