"""The keys that seal secrets, and what they have sealed."""

from __future__ import annotations

from contextlib import suppress

from provisioning.models import Account, IllegalMove, MovedMeanwhile
from provisioning.sealed import NOTHING, CannotOpen, Sealed

FIELDS = ("password", "oauth2_token")
AT_ONCE = 25
"""How many rows are read at a time."""


def open_newest() -> int:
    """Open the newest of the secrets of each kind, and return how many there are. Raises CannotOpen if no key fits."""
    newest = [Account.objects.exclude(**{name: NOTHING}).order_by("-pk").first() for name in FIELDS]
    sealed = [getattr(account, name) for account, name in zip(newest, FIELDS, strict=True) if account]
    for secret in sealed:
        secret.open()
    return len(sealed)


def discard_lost() -> int:
    """Give up the secrets that no key opens, and return how many. Accounts that need such a password are closed."""
    discarded = 0
    for account in Account.objects.exclude(password=NOTHING, oauth2_token=NOTHING).order_by("pk").iterator():
        if _is_lost(account.oauth2_token):
            discarded += Account.objects.filter(pk=account.pk).update(oauth2_token=NOTHING)
        if _is_lost(account.password):
            with suppress(MovedMeanwhile, IllegalMove):
                account.move(Account.State.CLOSED)
                discarded += 1
    return discarded


def _is_lost(secret: Sealed) -> bool:
    try:
        secret.open()
    except CannotOpen:
        return True
    return False


def reseal() -> tuple[int, int]:
    """Seal every stored secret with the first of SEALING_KEYS, row by row, while everything else works on.

    What is sealed with it already is left alone, so an interrupted run can be continued. Returns how many were sealed
    again, and how many were left because none of the keys opens them.
    """
    resealed = lost = 0
    for name in FIELDS:
        last = 0
        kept = Account.objects.exclude(**{name: NOTHING}).order_by("pk").values_list("pk", name)
        while some := list(kept.filter(pk__gt=last)[:AT_ONCE]):
            for last, sealed in some:
                try:
                    again = sealed.again()
                except CannotOpen:
                    lost += 1
                else:
                    if again != sealed:
                        resealed += Account.objects.filter(pk=last, **{name: sealed}).update(**{name: again})
    return resealed, lost
