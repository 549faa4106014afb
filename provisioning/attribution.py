"""Where a sign-up came from: what the page's address said, and which site linked to it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

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
MIN_IDENTIFYING_LETTERS = 4
"""A personal value that is shorter identifies nobody in the middle of a longer text: "May" is also in "may-sale"."""
PHONE_END = 7
"""How many last digits of a phone number identify it."""
MAX_READ = 1000
"""Characters that are read, so that endless ones cost nothing."""


def clean(values: Mapping[str, object]) -> dict[str, str]:
    """Return what may be stored of these values: known names only, and text without what can't be displayed."""
    cleaned = {name: _clean(value) for name in NAMES if isinstance(value := values.get(name), str)}
    return {name: value for name, value in cleaned.items() if value}


def _clean(text: str) -> str:
    seen = "".join(character if character.isprintable() else " " for character in text[:MAX_READ])
    return " ".join(seen.split())[:MAX_LENGTH].rstrip()


def without_personal_values(attribution: Mapping[str, str], personal: Iterable[str]) -> dict[str, str]:
    """Return the attribution without values that hold an email address, or one of the customer's own `personal` values.

    Mailings put such values in their links, and anybody can put them in the page's address.
    """
    own = [letters for value in personal for part in _parts(value) if (letters := _letters(part))]
    plain = {name: unquote(unquote(value)) for name, value in attribution.items()}
    return {
        name: attribution[name] for name, value in plain.items() if "@" not in value and not _identifies(value, own)
    }


def _parts(value: str) -> Iterator[str]:
    """Yield what identifies a customer: the value, the name in an email address, and the end of a phone number."""
    name, _at, domain = value.partition("@")
    yield value
    if domain:
        yield name
    elif value.startswith("+"):
        yield "".join(character for character in value if character.isdigit())[-PHONE_END:]


def _identifies(value: str, own: Iterable[str]) -> bool:
    """Whether a value is, or contains, one of the customer's `own` values, as `_letters` returns them."""
    letters = _letters(value)
    return any(each == letters or (len(each) >= MIN_IDENTIFYING_LETTERS and each in letters) for each in own)


def _letters(text: str) -> str:
    """Return the letters and digits without accents, so that `José Jones`, `jose-jones`, and `jose.jones` are alike."""
    text = text.removeprefix("https://").removeprefix("http://").removeprefix("www.")
    return "".join(character for character in unicodedata.normalize("NFKD", text.casefold()) if character.isalnum())


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
