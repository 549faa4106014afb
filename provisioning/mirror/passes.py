"""Passes over the partner's list: when one is due, which page is next, and when one has failed."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from provisioning import gateway
from provisioning.backoff import exponential
from provisioning.constant_contact import Entry
from provisioning.mirror.models import ListEntry, ListPass, name_key, organization_key
from provisioning.models import Account, Gateway

log = logging.getLogger(__name__)

MAX_PAGES = 5_000
"""More pages than any partner's list has: 250,000 accounts at v3's 50 per page."""
MAX_FAILURES = 10
"""A pass fails after this many failures in a row to read one page: more than half an hour."""
MAX_PAGE_BACK_OFF, MAX_PASS_BACK_OFF = timedelta(minutes=5), timedelta(hours=1)
CALIBRATION_PAUSE = timedelta(minutes=10)
"""The time between passes that look for an account with a known ID, to learn what names v3's list shows."""
RETENTION = timedelta(days=30)
"""How long to keep passes, and entries that are no longer listed."""
WAITING_SHARE, IDLE_SHARE = 1 / 2, 1 / 5
"""The share of the daily quota that pages may use while an account waits to be found, and otherwise."""


class PassLost(Exception):
    """Raised when another worker has taken over this page, or the pass has ended."""


def is_page_due() -> bool:
    """Whether to read a page now, of the current pass or of a new one."""
    current = in_progress()
    if current is None:
        return _is_pass_due() and _is_in_budget()
    is_free = ListPass.objects.filter(pk=current.pk, due_at__lte=Now()).exists()
    return is_free and _is_in_budget()


def claim() -> ListPass | None:
    """Claim the next page for one lease, in the caller's transaction; None if another worker has it.

    Starts a new pass if none is in progress, or if the current one reads another partner's list or another API.
    """
    current = ListPass.objects.filter(outcome="").select_for_update(skip_locked=True).first()
    if current and current.source != source():
        fail(current, "The list of another partner or another API is configured now.")
        current = None
    if current is None:
        with transaction.atomic():
            current, _new = ListPass.objects.get_or_create(outcome="", defaults={"source": source()})
        _forget_other_sources()
    lease = timedelta(seconds=settings.PROVISION_LEASE)
    if not ListPass.objects.filter(pk=current.pk, outcome="", due_at__lte=Now()).update(
        due_at=Now() + lease, claim=uuid.uuid4()
    ):
        return None
    return ListPass.objects.get(pk=current.pk)


def renew(claimed: ListPass) -> None:
    """Restart the lease. Raises PassLost."""
    _update(claimed, due_at=Now() + timedelta(seconds=settings.PROVISION_LEASE))


def store(claimed: ListPass, entries: Iterable[Entry], skipped: int, next_page: str) -> None:
    """Store the entries on a page, and go on to the next page or complete the pass. Raises PassLost."""
    entries = list(entries)
    with transaction.atomic():
        known = {e.account_id: e for e in ListEntry.objects.filter(account_id__in=[e.account_id for e in entries])}
        if problem := _problem_with(claimed, entries, skipped, next_page, known):
            fail(claimed, problem)
            return
        changes = {
            "page": next_page,
            "pages": claimed.pages + 1,
            "entries": claimed.entries + len(entries),
            "skipped": claimed.skipped + skipped,
            "failures": 0,
            "problem": "",
            "due_at": Now(),
        }
        if not next_page:
            changes |= {"outcome": ListPass.Outcome.COMPLETE, "ended_at": Now(), "due_at": None}
        _end_claim(claimed, **changes)
        _store_entries(claimed, entries)
        if not next_page:
            _delete_old()
            log.info(
                "list read pages=%s entries=%s skipped=%s", changes["pages"], changes["entries"], changes["skipped"]
            )


def postpone(claimed: ListPass, problem: str, wait: timedelta | None = None) -> None:
    """Read the page again later, after `wait` if the provider asked for it. After too many failures, the pass fails.

    Raises PassLost.
    """
    if claimed.failures + 1 >= MAX_FAILURES:
        fail(claimed, problem)
        return
    wait = wait or min(MAX_PAGE_BACK_OFF, _back_off(claimed.failures))
    _end_claim(claimed, due_at=Now() + wait, failures=F("failures") + 1, problem=problem)


def release(claimed: ListPass) -> None:
    """Let the page be read as soon as the gateway permits. Raises PassLost."""
    _end_claim(claimed, due_at=Now())


def fail(claimed: ListPass, problem: str) -> None:
    """End the pass without a result: the list can't be read to its end. Raises PassLost."""
    _end_claim(claimed, outcome=ListPass.Outcome.FAILED, ended_at=Now(), due_at=None, problem=problem)
    log.error("list not read page=%s problem=%r", claimed.pages + 1, problem)


def discard_impossible_times() -> None:
    """Fail passes that began in the future, and free a page claimed until then: the database's clock was set back."""
    future = ListPass.objects.filter(started_at__gt=Now() + gateway.MAX_AHEAD)
    problem = "The database's clock was set back."
    failed = {"outcome": ListPass.Outcome.FAILED, "due_at": None, "claim": None, "problem": problem}
    if future.update(**failed, started_at=Now(), ended_at=Now()):
        log.warning("clock went back: the list is read again")
    ListPass.objects.filter(outcome="", due_at__gt=Now() + gateway.MAX_PAUSE).update(due_at=Now())


def in_progress() -> ListPass | None:
    """Return the pass that is being read now, if any."""
    return ListPass.objects.filter(outcome="").first()


def newest_complete() -> ListPass | None:
    """Return the most recently started complete pass over this partner's list."""
    return ListPass.objects.filter(outcome=ListPass.Outcome.COMPLETE, source=source()).order_by("-pk").first()


def problem() -> str:
    """Return why the list can't be read now; empty if it can."""
    newest = ListPass.objects.filter(source=source()).order_by("-pk").first()
    return newest.problem if newest else ""


def source() -> str:
    """Return a digest that identifies whose list is read, without revealing a secret."""
    whose = (settings.CONSTANT_CONTACT_API, settings.CONSTANT_CONTACT_URL, settings.CONSTANT_CONTACT_USERNAME)
    return hashlib.sha256("\0".join(whose).encode()).hexdigest()


def is_calibrated() -> bool:
    """Whether it is known what names the list shows. v2's shows usernames; v3's is calibrated with a known account."""
    return settings.CONSTANT_CONTACT_API == "v2" or bool(gateway.state().list_names)


def _is_pass_due() -> bool:
    """Whether to start a new pass: to find an account, to learn what names the list shows, or on schedule."""
    last = ListPass.objects.filter(source=source()).order_by("-pk").first()
    now = gateway.now()
    if last and last.ended_at and now < last.ended_at + _pause_after(last):
        return False
    if _waiting().filter(due_at__lte=Now()).exists():
        return True
    if last is None or last.ended_at is None:
        return bool(settings.CONSTANT_CONTACT_LIST_HOURS)
    if not is_calibrated() and now > last.started_at + CALIBRATION_PAUSE:
        created = Account.objects.filter(state=Account.State.CREATED, settled_by=Account.SettledBy.ANSWER)
        return created.filter(created_at__gte=now - timedelta(days=1)).exists()
    hours: float = settings.CONSTANT_CONTACT_LIST_HOURS
    return bool(hours) and now > last.started_at + timedelta(hours=hours)


def _pause_after(last: ListPass) -> timedelta:
    """Return how long to wait after a pass: as long as it took, so that passes don't run back to back.

    After failures, it is a backoff. An upper limit is needed because a pass may take days, for example if the gateway
    was stopped or no worker was running.
    """
    if last.outcome == ListPass.Outcome.COMPLETE:
        return min(MAX_PASS_BACK_OFF, (last.ended_at or last.started_at) - last.started_at)
    complete = ListPass.objects.filter(outcome=ListPass.Outcome.COMPLETE, source=last.source).order_by("-pk").first()
    failed = ListPass.objects.filter(source=last.source, pk__gt=complete.pk if complete else 0).count()
    return _back_off(failed)


def _back_off(failures: int) -> timedelta:
    return exponential(timedelta(seconds=settings.PROVISION_RECHECK), MAX_PASS_BACK_OFF, failures)


def _is_in_budget() -> bool:
    share = WAITING_SHARE if _waiting().exists() else IDLE_SHARE
    quota: int = settings.CONSTANT_CONTACT_DAILY_QUOTA
    return gateway.pages_today() < quota * share


def _waiting() -> QuerySet[Account]:
    return Account.objects.filter(state=Account.State.UNCONFIRMED)


def _problem_with(
    claimed: ListPass, entries: list[Entry], skipped: int, next_page: str, known: dict[str, ListEntry]
) -> str:
    """Return why this page suggests that the list never ends; empty if it does not."""
    if not next_page:
        return ""
    if not entries and not skipped:
        return "A page has no accounts but links to a next page."
    if next_page == claimed.page or (entries and all(_was_read(known.get(e.account_id), claimed) for e in entries)):
        return "The same page came twice."
    if claimed.pages + 1 >= MAX_PAGES:
        return f"The list has more than {MAX_PAGES} pages."
    return ""


def _was_read(entry: ListEntry | None, claimed: ListPass) -> bool:
    return entry is not None and entry.last_pass_id == claimed.pk


def _store_entries(claimed: ListPass, entries: list[Entry]) -> None:
    """Store the entries; for an account that was erased here, only its ID."""
    erased = set(
        Account.objects.filter(account_id__in=[e.account_id for e in entries], erased_at__isnull=False).values_list(
            "account_id", flat=True
        )
    )
    rows = {e.account_id: _row(claimed, e, is_erased=e.account_id in erased) for e in entries}
    ListEntry.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["account_id"],
        update_fields=[
            "username",
            "organization_name",
            "status",
            "username_key",
            "organization_key",
            "last_seen_at",
            "last_pass",
        ],
    )


def _row(claimed: ListPass, entry: Entry, *, is_erased: bool) -> ListEntry:
    row = ListEntry(account_id=entry.account_id, status=entry.status, last_pass=claimed)
    if not is_erased:
        row.username, row.organization_name = entry.username, entry.organization_name
        row.username_key, row.organization_key = name_key(entry.username), organization_key(entry.organization_name)
    return row


def _update(claimed: ListPass, **changes: object) -> None:
    """Change the pass if it is still in progress and its claim is unchanged. Raises PassLost."""
    if ListPass.objects.filter(pk=claimed.pk, outcome="", claim=claimed.claim).update(**changes) != 1:
        raise PassLost


def _end_claim(claimed: ListPass, **changes: object) -> None:
    """Change the pass and end the claim, so that no page is stored or counted twice. Raises PassLost."""
    _update(claimed, claim=None, **changes)


def _forget_other_sources() -> None:
    """Delete data from other lists, such as the sandbox's: it says nothing about this one."""
    others = ListPass.objects.exclude(source=source())
    if others.exists():
        ListEntry.objects.filter(Q(last_pass__in=others) | Q(last_pass=None)).delete()
        Gateway.objects.filter(pk=1).update(list_names="")
        others.delete()


def _delete_old() -> None:
    ListEntry.objects.filter(last_seen_at__lt=Now() - RETENTION).delete()
    old = ListPass.objects.filter(ended_at__lt=Now() - RETENTION)
    newest = newest_complete()
    (old.exclude(pk=newest.pk) if newest else old).delete()
