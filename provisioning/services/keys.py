"""The keys that seal secrets, and what they have sealed."""

from __future__ import annotations

from contextlib import suppress

from provisioning.models import Account, Endpoint, IllegalMove, MovedMeanwhile, NoticeRule
from provisioning.sealed import NOTHING, CannotOpen, Sealed

FIELDS: tuple[tuple[type[Account] | type[Endpoint] | type[NoticeRule], str], ...] = (
    (Account, "password"),
    (Account, "oauth2_token"),
    (Endpoint, "secret"),
    (Endpoint, "previous_secret"),
    (NoticeRule, "url"),
)
LOST_URL = "The key that sealed the webhook URL is lost. Enter the URL again."
LOST = "The key that sealed its signing secret is lost. Replace the secret."
BATCH_SIZE = 25
"""How many rows are read at a time."""


def open_newest() -> int:
    """Open the newest of the secrets of each kind, and return how many there are. Raises CannotOpen if no key fits."""
    newest = [(model.objects.exclude(**{name: NOTHING}).order_by("-pk").first(), name) for model, name in FIELDS]
    sealed: list[Sealed] = [getattr(row, name) for row, name in newest if row]
    for secret in sealed:
        secret.open()
    return len(sealed)


def discard_lost() -> int:
    """Give up the secrets that no key opens, and return how many.

    Accounts that need such a password are closed. Endpoints whose deliveries can't be signed are switched off.
    """
    discarded = 0
    for account in Account.objects.exclude(password=NOTHING, oauth2_token=NOTHING).order_by("pk").iterator():
        if _is_lost(account.oauth2_token):
            discarded += Account.objects.filter(pk=account.pk).update(oauth2_token=NOTHING)
        if _is_lost(account.password):
            with suppress(MovedMeanwhile, IllegalMove):
                account.move(Account.State.CLOSED)
                discarded += 1
    for endpoint in Endpoint.objects.all():
        row = Endpoint.objects.filter(pk=endpoint.pk)
        if _is_lost(endpoint.previous_secret):
            discarded += row.update(previous_secret=NOTHING)
        if _is_lost(endpoint.secret):
            discarded += row.update(secret=NOTHING, is_on=False, off_reason=LOST)
    for rule in NoticeRule.objects.all():
        if _is_lost(rule.url):
            discarded += NoticeRule.objects.filter(pk=rule.pk).update(url=NOTHING, problem=LOST_URL)
    return discarded


def _is_lost(secret: Sealed) -> bool:
    try:
        secret.open()
    except CannotOpen:
        return True
    return False


def reseal() -> tuple[int, int]:
    """Seal every stored secret with the first of SEALING_KEYS, row by row, while everything else keeps running.

    Secrets that already are stay as they are, so an interrupted run can be continued. Returns how many were sealed
    again, and how many were left because none of the keys opens them.
    """
    resealed = lost = 0
    for model, name in FIELDS:
        last = 0
        kept = model.objects.exclude(**{name: NOTHING}).order_by("pk").values_list("pk", name)
        while some := list(kept.filter(pk__gt=last)[:BATCH_SIZE]):
            for last, sealed in some:
                try:
                    again = sealed.resealed()
                except CannotOpen:
                    lost += 1
                else:
                    if again != sealed:
                        resealed += model.objects.filter(pk=last, **{name: sealed}).update(**{name: again})
    return resealed, lost
