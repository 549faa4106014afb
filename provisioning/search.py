"""Finding accounts by what a customer says on the phone, at a cost that does not grow with their number.

Each word begins a word of the organization's or owner's name, the e-mail address, the user name or Constant Contact's
number of the account (one of a letter or two is that word); a whole e-mail address is just that; or the text begins the
reference. Triggers keep an index of these words: in a column for PostgreSQL's full-text search, or in SQLite's FTS5. It
is made after migrating, for when Django alters a table of SQLite it makes a new one, and the triggers are lost with the
old one.
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

HELP = "Beginnings of names, e-mail address, user name, number at Constant Contact, or reference."
BEGINNINGS = range(3, 9)
"""So many first letters of each word are in the index by themselves, for it takes long to gather all that go on so."""
COLUMNS = ("organization_name", "first_name", "last_name", "email", "username", "account_id")


def matching(accounts: QuerySet[Account], text: str, newest: int = 0) -> QuerySet[Account]:
    """Those of the accounts that the text is about; `newest`, if given, is how many of the newest will do."""
    addresses = [part for part in text.lower().split() if re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", part)]
    words = re.findall(r"[^\W_]+", " ".join(part for part in text.lower().split() if part not in addresses))
    if not (words or addresses):
        return accounts.none()
    return accounts.filter(_begins_reference(text) | _hold(words, 0 if addresses else newest) & _have(addresses))


def _begins_reference(text: str) -> Q:
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch("[0-9a-f]{8,32}", digits):
        return Q()
    return Q(reference__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def _have(addresses: list[str]) -> Q:
    """Too many accounts hold the words of an address, like `com`; few have that address, or it as their user name."""
    either = (Q(Exact(Lower("email"), each)) | Q(Exact(Lower("username"), each)) for each in addresses)
    return reduce(and_, either, Q())


def _hold(words: list[str], newest: int) -> Q:
    if not words:
        return Q()
    if connection.vendor == "postgresql":
        query = " & ".join(f"({' | '.join(_forms(word))})" for word in words)
        return Q(RawSQL("words @@ to_tsquery('simple', %s)", [query], BooleanField()))
    query = " ".join(f'"{word}"{"*" if len(word) >= min(BEGINNINGS) else ""}' for word in words)
    # SQLite has no idea how many hold a word, and would fetch every one of them to find the newest.
    bound = f" ORDER BY rowid DESC LIMIT {newest}" if newest else ""
    return Q(pk__in=RawSQL(f"SELECT rowid FROM account_search WHERE account_search MATCH %s{bound}", [query]))  # noqa: S608, S611


def _forms(word: str) -> list[str]:
    """What to look for in PostgreSQL's index: the word, or what begins with it where its beginnings are not held.

    A database of the locale C knows no small É, so a name with one is also looked for as it is usually written.
    """
    more = ":*" if len(word) > max(BEGINNINGS) else ""
    return [f"{form}{more}" for form in ([word] if word.isascii() else [word, word.capitalize()])]


def prepare(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Make the index where it is missing; what is in the table already is then indexed too."""
    database = connections[using]
    if Account._meta.db_table not in database.introspection.table_names():  # Migrated back to nothing.
        return
    are_there, statements = POSTGRESQL if database.vendor == "postgresql" else SQLITE
    with transaction.atomic(using), database.cursor() as cursor:
        cursor.execute(are_there)
        if not cursor.fetchone()[0]:
            for statement in statements:
                cursor.execute(statement)


def _columns(prefix: str = "") -> list[str]:
    return [f"{prefix}{name}" for name in COLUMNS]


# In a column, because to part what a row says into words anew takes longer than all else of a search. The trigger names
# no columns, for PostgreSQL would not alter those. It takes an address for one word, so what parts it into words is
# replaced beforehand. With `fastupdate` every search would read a list of what is new.
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
                ))) AS word, unnest(ARRAY{[*BEGINNINGS, 255]}) AS size
            );
            RETURN NEW;
        END $$""",  # noqa: S608
        "CREATE TRIGGER account_words BEFORE INSERT OR UPDATE ON provisioning_account"
        " FOR EACH ROW EXECUTE FUNCTION account_words()",
        "UPDATE provisioning_account SET words = NULL",
        "CREATE INDEX account_search ON provisioning_account USING gin (words) WITH (fastupdate = off)",
    ),
)

_forget = f"""
INSERT INTO account_search (account_search, rowid, {", ".join(_columns())})
VALUES ('delete', old.id, {", ".join(_columns("old."))});"""  # noqa: S608
_learn = f"""
INSERT INTO account_search (rowid, {", ".join(_columns())}) VALUES (new.id, {", ".join(_columns("new."))});"""  # noqa: S608

# https://www.sqlite.org/fts5.html#external_content_tables
SQLITE = (
    "SELECT count(*) = 3 FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'account_search_%'",
    (
        f"""
        CREATE VIRTUAL TABLE IF NOT EXISTS account_search USING fts5 (
            {", ".join(_columns())}, content='provisioning_account', content_rowid='id',
            tokenize='unicode61 remove_diacritics 0', prefix='{" ".join(map(str, BEGINNINGS))}'
        )""",
        f"CREATE TRIGGER IF NOT EXISTS account_search_insert AFTER INSERT ON provisioning_account BEGIN {_learn} END",
        f"CREATE TRIGGER IF NOT EXISTS account_search_delete AFTER DELETE ON provisioning_account BEGIN {_forget} END",
        f"CREATE TRIGGER IF NOT EXISTS account_search_update AFTER UPDATE OF {', '.join(_columns())}"
        f" ON provisioning_account BEGIN {_forget} {_learn} END",
        "INSERT INTO account_search (account_search) VALUES ('rebuild')",
    ),
)
