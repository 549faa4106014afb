"""Where a sign-up came from: what the page's address said, and which site linked to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Func, Q, TextField
from django.db.models.lookups import IsNull

NAMES = {
    "utm_source": "Source",
    "utm_medium": "Medium",
    "utm_campaign": "Campaign",
    "utm_term": "Search term",
    "utm_content": "Ad or link",
    "ref": "Referral code",
    "promo": "Promotion code",
    "referrer": "Linked from",
}
"""Name of a value that is stored → label for staff. All but the last are parameters of the page's address."""
REFERRER = "referrer"
"""The host name of the site whose link led to the page."""
MAX_LENGTH = 100
"""Characters that are stored of a value. The rest is cut off."""
MAX_READ = 1000
"""Characters that are read, so that endless ones cost nothing."""


def clean(values: Mapping[str, object]) -> dict[str, str]:
    """Return what may be stored of these values: known names only, and text without what can't be displayed."""
    cleaned = {name: _clean(value) for name in NAMES if isinstance(value := values.get(name), str)}
    return {name: value for name, value in cleaned.items() if value}


def _clean(text: str) -> str:
    seen = "".join(character if character.isprintable() else " " for character in text[:MAX_READ])
    return " ".join(seen.split())[:MAX_LENGTH].rstrip()


class ValueOf(Func):
    """One value of an account's `attribution`, written as in the index for it; null if there is none.

    Django's own lookup of a key has parameters on SQLite, which match no index.
    """

    output_field = TextField()
    template = "JSON_EXTRACT(%(expressions)s, '$.%(name)s')"

    def __init__(self, name: str) -> None:
        super().__init__(F("attribution"), name=name)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s ->> '%(name)s')", **context)


def is_given(name: str) -> Q:
    """Return the condition of the index: sign-ups without such a value, which are most, cost nothing."""
    return Q(IsNull(ValueOf(name), False))
