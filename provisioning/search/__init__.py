"""Search for accounts by what a customer says on the phone. Its cost doesn't grow with the number of accounts.

Each word of a query matches the beginning of a word in the names of the organization and the owner, the email address,
the username, the account ID, or the partner's own ID. Accents, case, and apostrophes don't matter, and an emoji is a
word. A phone number matches by its last seven digits, however it is written, or by its beginning or its last four
digits. A complete email address matches only itself. A query can also be the beginning of a reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import groupby
from operator import and_
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, F, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.db.models.lookups import Exact, In

from provisioning.models import Account
from provisioning.search.index import COLUMNS as COLUMNS
from provisioning.search.index import PREFIX_LENGTHS
from provisioning.search.words import TAIL, spellings, words

HELP = (
    "Enter the beginning of a name, username, account ID, your own ID, or reference. For a phone number, enter all of"
    " it, or its last four or seven digits. For an email address, enter all of it, or the part before the @."
)
MIN_DIGITS = 5
"""A number with fewer digits is searched for like any other word."""
MAX_LENGTH = 500
"""The rest of a longer query is ignored: databases refuse endless words, and hundreds of conditions."""
MAX_TERMS = 50
COMMON = 2000
"""How many matches are too many to fetch one by one."""
NUMBER = re.compile(r"[0-9+()\-./#]*[0-9][0-9+()\-./#]*")

Term = list[list[str]]
"""One thing to look for, as alternatives; each is a list of words that must all match."""


def matching(accounts: QuerySet[Account], text: str, newest: int = 0) -> QuerySet[Account]:
    """Filter the accounts that match the text. If `newest` is given, only that many of the newest are needed."""
    parts = text[:MAX_LENGTH].split()
    addresses = [part.lower() for part in parts if re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", part)]
    terms = list(_terms(part for part in parts if part.lower() not in addresses))[:MAX_TERMS]
    if not (terms or addresses):
        return accounts.none()
    return accounts.filter(
        _begins_reference(text) | _match_terms(terms, 0 if addresses else newest) & _match_addresses(addresses)
    )


def _terms(parts: Iterable[str]) -> Iterator[Term]:
    for is_number, run in groupby(parts, lambda part: bool(NUMBER.fullmatch(part))):
        if is_number:
            yield _number(" ".join(run))
        else:
            yield from filter(None, [spellings(part) for part in run])


def _number(text: str) -> Term:
    """Return what a phone number may look like in the index, or an account ID with several groups of digits."""
    digits = re.sub("[^0-9]", "", text)
    if len(digits) < MIN_DIGITS:
        return [words(text)]
    beginning = digits.lstrip("0") or digits
    return [words(text), [beginning], *([[digits[-TAIL:]]] if len(digits) >= TAIL else [])]


def _begins_reference(text: str) -> Q:
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch("[0-9a-f]{8,32}", digits):
        return Q()
    return Q(reference__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def _match_addresses(addresses: list[str]) -> Q:
    """Match whole addresses as email or username: too many accounts share their single words, like `com`."""
    either = (Q(Exact(Lower("email"), each)) | Q(Exact(Lower("username"), each)) for each in addresses)
    return reduce(and_, either, Q())


def _match_terms(terms: list[Term], newest: int) -> Q:
    if not terms:
        return Q()
    if connection.vendor == "postgresql":
        return Q(RawSQL("words @@ %s::tsquery", [_expression(terms, "&", "|", _postgresql)], BooleanField()))
    return _match_sqlite(_expression(terms, "AND", "OR", _sqlite), newest)


def _match_sqlite(expression: str, newest: int) -> Q:
    """SQLite does not know how many rows match a word, and would fetch each of them to sort or filter them."""
    match = "SELECT rowid FROM account_search WHERE account_search MATCH %s"
    if newest:
        return Q(pk__in=RawSQL(f"{match} ORDER BY rowid DESC LIMIT {newest}", [expression]))  # noqa: S611
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({match} LIMIT {COMMON})", [expression])  # noqa: S608
        is_common = cursor.fetchone() == (COMMON,)
    # By the sum, SQLite doesn't look up the primary key: it reads the accounts in the order of a filter's index.
    pk = F("pk") + 0 if is_common else F("pk")
    return Q(In(pk, RawSQL(match, [expression])))  # noqa: S611


def _expression(terms: list[Term], both: str, either: str, spelled: Callable[[str], str]) -> str:
    """Write the terms in the query language of an index."""
    alternatives = ([f" {both} ".join(map(spelled, found)) for found in term] for term in terms)
    return f" {both} ".join(f"({f' {either} '.join(each)})" for each in alternatives)


def _postgresql(word: str) -> str:
    """Return what to look for in PostgreSQL's index: the word, as a prefix if it is longer than indexed prefixes.

    With the C locale PostgreSQL does not lowercase Б, so such a word is also looked for in its usual capitalization.
    """
    more = ":*" if len(word) > max(PREFIX_LENGTHS) else ""
    forms = [word] if word.isascii() else dict.fromkeys((word, word.capitalize()))
    return "({})".format(" | ".join(f"'{form}'{more}" for form in forms))


def _sqlite(word: str) -> str:
    return f'"{word}"*'
