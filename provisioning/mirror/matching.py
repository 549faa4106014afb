"""Matching: deciding whether an entry in the list is the account that one of our unanswered calls created.

The username alone can't tell: it may have been in the list before our call, or someone else may take it between two of
our calls. So an entry is *ours* only if it belongs to none of our other accounts, was not listed before our first
unanswered call, has the customer's organization, and can't be the result of an unanswered call for another sign-up. An
entry with the username that fails one of these tests is somebody else's if that is certain; otherwise, staff decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from provisioning import gateway
from provisioning.constant_contact import Entry
from provisioning.mirror import passes
from provisioning.mirror.models import ListEntry, ListPass, name_key, organization_key
from provisioning.models import Account, Attempt, Gateway

NOT_CREATED = frozenset(Account.State) - {Account.State.CREATED}


class Verdict(Enum):
    """Whose account an entry of the list is, as seen from an account with an unanswered call."""

    OURS = auto()
    """The entry is the account that our call created."""
    OTHERS = auto()
    """Someone else already had the username before our call, so nothing was created."""
    DIFFERS = auto()
    """The entry could be either: staff decide."""


@dataclass(frozen=True)
class Finding:
    """An entry of the list that concerns an account, and whose it is."""

    verdict: Verdict
    entry: ListEntry


def find(account: Account) -> Finding | None:
    """Find an account with an unanswered call in the list as read since the call; None if it is not there."""
    first = account.unanswered().first()
    since = first.started_at if first else account.state_changed_at
    entries = list(related(account).filter(last_seen_at__gt=since))
    attached = set(
        Account.objects.exclude(pk=account.pk)
        .filter(account_id__in=[entry.account_id for entry in entries])
        .values_list("account_id", flat=True)
    )
    is_provable = _was_complete_before(since)
    findings = [
        Finding(verdict, entry)
        for entry in entries
        if (verdict := _verdict(account, entry, since, entry.account_id in attached, is_provable))
    ]
    for verdict in Verdict:
        if matching := [finding for finding in findings if finding.verdict == verdict]:
            if verdict == Verdict.OURS and len(matching) > 1:
                return Finding(Verdict.DIFFERS, matching[0].entry)
            return matching[0]
    return None


def related(account: Account) -> QuerySet[ListEntry]:
    """Return listed accounts with the account's username or, if the list shows no usernames, its organization."""
    same_name = Q(username_key=name_key(account.username))
    same_organization = Q(organization_key=organization_key(account.organization_name))
    match names():
        case Gateway.ListNames.USERNAME:
            return ListEntry.objects.filter(same_name)
        case Gateway.ListNames.ORGANIZATION:
            return ListEntry.objects.filter(same_organization)
    return ListEntry.objects.filter(same_name | same_organization)


def names() -> str:
    """Return what names the list shows; empty if that is not known yet."""
    return Gateway.ListNames.USERNAME if settings.CONSTANT_CONTACT_API == "v2" else gateway.state().list_names


def listed(usernames: Iterable[str]) -> set[str]:
    """Return the `name_key`s of the usernames that were in the list in the newest complete pass or later.

    The result is empty if the list does not show usernames, or if that is not known yet.
    """
    entries = ListEntry.objects.filter(username_key__in=[name_key(username) for username in usernames])
    found = list(entries.values_list("username_key", "last_pass_id"))
    newest = passes.newest_complete() if found and names() == Gateway.ListNames.USERNAME else None
    return {key for key, last_pass in found if newest and last_pass and last_pass >= newest.pk}


def is_listed(username: str) -> bool:
    """Whether `listed` would return this username."""
    return bool(listed([username]))


def waiting_for(entries: list[Entry]) -> list[Account]:
    """Return the unconfirmed accounts that may be on a page."""
    unconfirmed = Account.objects.filter(state=Account.State.UNCONFIRMED)
    usernames = {name_key(entry.username) for entry in entries}
    if names() == Gateway.ListNames.USERNAME:
        return list(unconfirmed.alias(key=Lower("username")).filter(key__in=usernames))
    organizations = {organization_key(entry.organization_name) for entry in entries}
    return [
        account
        for account in unconfirmed
        if name_key(account.username) in usernames or organization_key(account.organization_name) in organizations
    ]


def calibrate(entries: list[Entry]) -> None:
    """Learn whether v3's list shows usernames, from a page with an account whose ID is known."""
    if passes.is_calibrated():
        return
    usernames = {entry.account_id: name_key(entry.username) for entry in entries}
    known = Account.objects.filter(
        state=Account.State.CREATED,
        settled_by=Account.SettledBy.ANSWER,
        erased_at__isnull=True,
        account_id__in=usernames.keys(),
    ).order_by("created_at")
    if account := known.first():
        is_username = usernames[account.account_id] == name_key(account.username)
        finding = Gateway.ListNames.USERNAME if is_username else Gateway.ListNames.ORGANIZATION
        Gateway.objects.filter(pk=1, list_names="").update(list_names=finding)


def _verdict(
    account: Account, entry: ListEntry, since: datetime, is_attached: bool, is_provable: bool
) -> Verdict | None:
    """Return whose account the entry is; None if it is irrelevant.

    `is_provable` means that a complete pass ended before our call, so it would have shown an older account.
    """
    was_listed_before = entry.first_seen_at <= since
    has_name = names() != Gateway.ListNames.ORGANIZATION and entry.username_key == name_key(account.username)
    has_organization = entry.organization_key == organization_key(account.organization_name)
    has_username = has_name and names() == Gateway.ListNames.USERNAME
    if is_attached or was_listed_before:
        return Verdict.OTHERS if has_username else None
    if not has_name and not names():
        return None
    if has_organization and (has_name or is_provable) and not _is_contested(account, entry, has_name):
        return Verdict.OURS
    return Verdict.DIFFERS


def _is_contested(account: Account, entry: ListEntry, has_name: bool) -> bool:
    """Whether an unanswered call for another sign-up may have created the entry just as well."""
    calls = Attempt.objects.filter(
        kind=Attempt.Kind.CREATE,
        outcome__in=Attempt.DOUBTFUL,
        started_at__lt=entry.first_seen_at,
        account=OuterRef("pk"),
    )
    others = Account.objects.filter(Exists(calls), state__in=NOT_CREATED).exclude(pk=account.pk)
    if has_name:
        return others.alias(key=Lower("username")).filter(key=name_key(account.username)).exists()
    organizations = others.values_list("organization_name", flat=True)
    return any(organization_key(name) == entry.organization_key for name in organizations)


def _was_complete_before(moment: datetime) -> bool:
    complete = ListPass.objects.filter(outcome=ListPass.Outcome.COMPLETE, source=passes.source())
    return complete.filter(ended_at__lt=moment).exists()
