"""Search for accounts by what a customer says on the phone. Its cost doesn't grow with the number of accounts.

Each word of a query matches the beginning of a word in the names of the organization and the owner, the email address,
the username, or the account ID; a word of one or two letters matches only whole words. A complete email address matches
only itself. A query can also be the beginning of a reference.

Triggers maintain an index of these words: a column for PostgreSQL's full-text search, or SQLite's FTS5. It is created
after migrations, because Django alters a SQLite table by replacing it, and the old table's triggers are lost.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import and_
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from provisioning.models import Account

HELP = "Search by the beginning of a name, email address, username, account ID, or reference."
PREFIX_LENGTHS = range(3, 9)
"""Prefixes of these lengths have index entries of their own: collecting all words with a prefix would be slow."""
COLUMNS = ("organization_name", "first_name", "last_name", "email", "username", "account_id")


def matching(accounts: QuerySet[Account], text: str, newest: int = 0) -> QuerySet[Account]:
    """Filter the accounts that match the text. If `newest` is given, only that many of the newest are needed."""
    addresses = [part for part in text.lower().split() if re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", part)]
    words = re.findall(r"[^\W_]+", " ".join(part for part in text.lower().split() if part not in addresses))
    if not (words or addresses):
        return accounts.none()
    return accounts.filter(
        _begins_reference(text) | _match_words(words, 0 if addresses else newest) & _match_addresses(addresses)
    )


def _begins_reference(text: str) -> Q:
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch("[0-9a-f]{8,32}", digits):
        return Q()
    return Q(reference__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def _match_addresses(addresses: list[str]) -> Q:
    """Match whole addresses as email or username: too many accounts share their single words, like `com`."""
    either = (Q(Exact(Lower("email"), each)) | Q(Exact(Lower("username"), each)) for each in addresses)
    return reduce(and_, either, Q())


def _match_words(words: list[str], newest: int) -> Q:
    if not words:
        return Q()
    if connection.vendor == "postgresql":
        query = " & ".join(f"({' | '.join(_forms(word))})" for word in words)
        return Q(RawSQL("words @@ to_tsquery('simple', %s)", [query], BooleanField()))
    query = " ".join(f'"{word}"{"*" if len(word) >= min(PREFIX_LENGTHS) else ""}' for word in words)
    # SQLite does not know how many rows match a word, and would fetch them all to find the newest.
    bound = f" ORDER BY rowid DESC LIMIT {newest}" if newest else ""
    return Q(pk__in=RawSQL(f"SELECT rowid FROM account_search WHERE account_search MATCH %s{bound}", [query]))  # noqa: S608, S611


def _forms(word: str) -> list[str]:
    """Return the terms to look for in PostgreSQL's index: the word, as a prefix if it is longer than indexed prefixes.

    With the C locale PostgreSQL does not lowercase É, so such a word is also looked for in its usual capitalization.
    """
    more = ":*" if len(word) > max(PREFIX_LENGTHS) else ""
    return [f"{form}{more}" for form in ([word] if word.isascii() else [word, word.capitalize()])]


def prepare(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Create the index if it is missing, and index existing rows."""
    database = connections[using]
    if Account._meta.db_table not in database.introspection.table_names():  # All migrations were reversed.
        return
    exists, statements = POSTGRESQL if database.vendor == "postgresql" else SQLITE
    with transaction.atomic(using), database.cursor() as cursor:
        cursor.execute(exists)
        if not cursor.fetchone()[0]:
            for statement in statements:
                cursor.execute(statement)


def _columns(prefix: str = "") -> list[str]:
    return [f"{prefix}{name}" for name in COLUMNS]


# The words are in a column because splitting text into words is the slowest part of a search. The trigger lists no
# columns because PostgreSQL refuses to alter columns that a trigger lists. PostgreSQL treats an address as one word, so
# its separators are replaced with spaces first. With `fastupdate` on, every search would scan a list of new entries.
POSTGRESQL = (
    "SELECT count(*) = 1 FROM pg_trigger WHERE tgname = 'account_words' AND tgrelid = 'provisioning_account'::regclass",
    (
        "ALTER TABLE provisioning_account ADD COLUMN IF NOT EXISTS words tsvector",
        f"""
        CREATE OR REPLACE FUNCTION account_words() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.words := (
                SELECT array_to_tsvector(array_agg(DISTINCT left(word, size)))
                FROM unnest(tsvector_to_array(to_tsvector(
                    'simple', translate({" || ' ' || ".join(_columns("NEW."))}, '@._-+/', '      ')
                ))) AS word, unnest(ARRAY{[*PREFIX_LENGTHS, 255]}) AS size
            );
            RETURN NEW;
        END $$""",  # noqa: S608
        "CREATE TRIGGER account_words BEFORE INSERT OR UPDATE ON provisioning_account"
        " FOR EACH ROW EXECUTE FUNCTION account_words()",
        "UPDATE provisioning_account SET words = NULL",
        "CREATE INDEX account_search ON provisioning_account USING gin (words) WITH (fastupdate = off)",
    ),
)

_delete = f"""
INSERT INTO account_search (account_search, rowid, {", ".join(_columns())})
VALUES ('delete', old.id, {", ".join(_columns("old."))});"""  # noqa: S608
_insert = f"""
INSERT INTO account_search (rowid, {", ".join(_columns())}) VALUES (new.id, {", ".join(_columns("new."))});"""  # noqa: S608

# https://www.sqlite.org/fts5.html#external_content_tables
SQLITE = (
    "SELECT count(*) = 3 FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'account_search_%'",
    (
        f"""
        CREATE VIRTUAL TABLE IF NOT EXISTS account_search USING fts5 (
            {", ".join(_columns())}, content='provisioning_account', content_rowid='id',
            tokenize='unicode61 remove_diacritics 0', prefix='{" ".join(map(str, PREFIX_LENGTHS))}'
        )""",
        f"CREATE TRIGGER IF NOT EXISTS account_search_insert AFTER INSERT ON provisioning_account BEGIN {_insert} END",
        f"CREATE TRIGGER IF NOT EXISTS account_search_delete AFTER DELETE ON provisioning_account BEGIN {_delete} END",
        f"CREATE TRIGGER IF NOT EXISTS account_search_update AFTER UPDATE OF {', '.join(_columns())}"
        f" ON provisioning_account BEGIN {_delete} {_insert} END",
        "INSERT INTO account_search (account_search) VALUES ('rebuild')",
    ),
)
