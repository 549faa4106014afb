"""Finding accounts by what a customer says on the phone, at a cost that does not grow with their number.

Each word begins a word of the organization's or owner's name, the e-mail address, the user name or Constant Contact's
number of the account (one of a letter or two is that word); a whole e-mail address is just that; or the text begins the
reference. The database keeps an index of these words: PostgreSQL's full-text search, or SQLite's FTS5. Both are made
after migrating, for when Django alters a table of SQLite it makes a new one, and the triggers that feed the index are
lost with the old one.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import and_
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

from provisioning.models import Account

COLUMNS = ("organization_name", "first_name", "last_name", "email", "username", "account_id")


def matching(accounts: QuerySet[Account], text: str) -> QuerySet[Account]:
    """Those of the accounts that the text is about."""
    addresses = [part for part in text.lower().split() if re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", part)]
    words = re.findall(r"[^\W_]+", " ".join(part for part in text.lower().split() if part not in addresses))
    if not (words or addresses):
        return accounts.none()
    return accounts.filter(_begins_reference(text) | _hold(words) & _have(addresses))


def _begins_reference(text: str) -> Q:
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch("[0-9a-f]{8,32}", digits):
        return Q()
    return Q(reference__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def _have(addresses: list[str]) -> Q:
    """Too many accounts hold the words of an address, like `com`; few have that address, or it as their user name."""
    either = (Q(Exact(Lower("email"), each)) | Q(Exact(Lower("username"), each)) for each in addresses)
    return reduce(and_, either, Q())


def _hold(words: list[str]) -> Q:
    if not words:
        return Q()
    if connection.vendor == "postgresql":
        # A database of the locale C knows no small É, so a name is also looked for as it is usually written.
        either = ([f"{form}{_more(word, ':*')}" for form in (word, word.capitalize())] for word in words)
        query = " & ".join(f"({' | '.join(forms)})" for forms in either)
        return Q(RawSQL(f"{VECTOR} @@ to_tsquery('simple', %s)", [query], BooleanField()))  # noqa: S611
    query = " ".join(f'"{word}"{_more(word, "*")}' for word in words)
    return Q(pk__in=RawSQL("SELECT rowid FROM account_search WHERE account_search MATCH %s", [query]))


def _more(word: str, sign: str) -> str:
    """The sign that lets a word go on; too much of the index begins with a letter or two."""
    return sign if len(word) > 2 else ""


def prepare(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Make the index where it is missing; what is in the table already is then indexed too."""
    if Account._meta.db_table not in connections[using].introspection.table_names():  # Migrated back to nothing.
        return
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute(INDEX)
            return
        cursor.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'account_search_%'")
        if cursor.fetchone()[0] < len(TRIGGERS):
            for statement in (TABLE, *TRIGGERS, "INSERT INTO account_search (account_search) VALUES ('rebuild')"):
                cursor.execute(statement)


# PostgreSQL takes an e-mail or web address for one word, so what parts it into words is replaced beforehand.
VECTOR = f"""to_tsvector('simple', translate({" || ' ' || ".join(COLUMNS)}, '@._-+/', '      '))"""

# Without `fastupdate`, which would have every search read a list of what is new.
INDEX = f"""
CREATE INDEX IF NOT EXISTS account_search ON provisioning_account USING gin (({VECTOR})) WITH (fastupdate = off)"""

_columns = ", ".join(COLUMNS)
_old = ", ".join(f"old.{name}" for name in COLUMNS)
_new = ", ".join(f"new.{name}" for name in COLUMNS)
_forget = f"INSERT INTO account_search (account_search, rowid, {_columns}) VALUES ('delete', old.id, {_old});"  # noqa: S608
_learn = f"INSERT INTO account_search (rowid, {_columns}) VALUES (new.id, {_new});"  # noqa: S608

# https://www.sqlite.org/fts5.html#external_content_tables
TABLE = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS account_search USING fts5 (
    {_columns}, content='provisioning_account', content_rowid='id', tokenize='unicode61 remove_diacritics 0'
)"""
TRIGGERS = (
    f"CREATE TRIGGER IF NOT EXISTS account_search_insert AFTER INSERT ON provisioning_account BEGIN {_learn} END",
    f"CREATE TRIGGER IF NOT EXISTS account_search_delete AFTER DELETE ON provisioning_account BEGIN {_forget} END",
    f"CREATE TRIGGER IF NOT EXISTS account_search_update AFTER UPDATE OF {_columns} ON provisioning_account"
    f" BEGIN {_forget} {_learn} END",
)
