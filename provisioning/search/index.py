"""The index of words: a column for PostgreSQL's full-text search, or SQLite's FTS5. Triggers maintain it.

It is created after migrations, because Django alters a SQLite table by replacing it, and the old table's triggers are
lost. SQLite's triggers call a Python function, so only this application can write to the indexed columns.

The index has a version: a digest of everything that its words depend on. An index of another version is built again.
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from provisioning.models import Account
from provisioning.search import words
from provisioning.search.words import (
    ACCENTS,
    APOSTROPHES,
    END,
    EXTENSION,
    LETTERS,
    LIGATURES,
    LONGEST,
    TAIL,
    WORD,
    index_words,
)

PREFIX_LENGTHS = range(1, 9)
"""Prefixes of these lengths have index entries of their own: collecting all words with a prefix would be slow."""
COLUMNS = (
    "phone",
    "organization_name",
    "first_name",
    "last_name",
    "email",
    "username",
    "account_id",
    "partner_account_id",
)


def prepare(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Create the index, and index existing rows, if it is missing or of another version."""
    database = connections[using]
    if Account._meta.db_table not in database.introspection.table_names():  # All migrations were reversed.
        return
    current, statements = POSTGRESQL if database.vendor == "postgresql" else SQLITE
    version = _version(statements)
    with transaction.atomic(using), database.cursor() as cursor:
        cursor.execute(current)
        if cursor.fetchall() != [(version,)]:
            for statement in statements:
                cursor.execute(statement.replace(VERSION, version))


def _version(statements: tuple[str, ...]) -> str:
    rules = Path(words.__file__).read_text()
    return sha256("".join((*statements, rules)).encode()).hexdigest()[:16]


def register(connection: Any, **signal: Any) -> None:
    """Give a new SQLite connection the function that the triggers call."""
    if connection.vendor == "sqlite":
        add_function(connection.connection)


def add_function(database: sqlite3.Connection) -> None:
    database.create_function("account_words", len(COLUMNS) - 1, index_words, deterministic=True)


def _columns(prefix: str = "") -> str:
    return ", ".join(f"{prefix}{name}" for name in COLUMNS)


def _words(prefix: str = "") -> str:
    """Return SQLite's call of `index_words`. The last two columns are one argument: the previous release gives new
    connections a function with as many arguments as it has columns."""
    *most, account_id, partner_account_id = (f"{prefix}{name}" for name in COLUMNS)
    return f"account_words({', '.join(most)}, {account_id} || ' ' || {partner_account_id})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _folded(text: str) -> str:
    """Return SQL that folds a text as `words` does, but leaves the case."""
    folded = f"normalize(regexp_replace(normalize({text}, NFKD), {_quoted(ACCENTS)}, '', 'g'), NFKC)"
    for ligature, letters in LIGATURES.items():
        folded = f"replace({folded}, '{ligature}', '{letters}')"
    return f"translate({folded}, '{''.join(LETTERS)}', '{''.join(LETTERS.values())}')"


VERSION = "{version}"

# For each database: a query for the version of the index, if it is whole, and the statements that build it.
#
# The words are in a column because splitting text into words is the slowest part of a search. The trigger lists no
# columns because PostgreSQL refuses to alter columns that a trigger lists. New entries wait in a list of at most 64 kB:
# adding many at once takes a fraction of the time, and a search scans so few in no time.
POSTGRESQL = (
    "SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger"
    " WHERE tgname = 'account_words' AND tgrelid = 'provisioning_account'::regclass",
    (
        "DROP TRIGGER IF EXISTS account_words ON provisioning_account",
        "DROP INDEX IF EXISTS account_search",
        "ALTER TABLE provisioning_account ADD COLUMN IF NOT EXISTS words tsvector",
        f"""
        CREATE OR REPLACE FUNCTION account_words() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            texts text := concat_ws(' ', {", ".join(f"NEW.{name}" for name in COLUMNS if name != "phone")});
            joined text := translate(texts, {_quoted(APOSTROPHES)}, '');
            digits text := regexp_replace(regexp_replace(NEW.phone, {_quoted(EXTENSION)}, '', 'i'), '[^0-9]', '', 'g');
        BEGIN
            IF TG_OP = 'UPDATE' AND NEW.words IS NOT NULL THEN
                IF ({_columns("NEW.")}) IS NOT DISTINCT FROM ({_columns("OLD.")}) THEN
                    RETURN NEW;
                END IF;
            END IF;
            IF joined <> texts THEN
                texts := texts || ' ' || joined;
            END IF;
            IF octet_length(texts) > length(texts) THEN
                texts := {_folded("texts")};
            END IF;
            NEW.words := (
                SELECT array_to_tsvector(array_agg(left(word, size)))
                FROM (
                    SELECT match[1] FROM regexp_matches(lower(texts), {_quoted(WORD)}, 'g') AS match
                    UNION ALL SELECT unnest(ARRAY[digits, right(digits, {TAIL}), right(digits, {END})])
                ) AS found (word), unnest(ARRAY{[*PREFIX_LENGTHS, LONGEST]}) AS size
                WHERE word <> ''
            );
            RETURN NEW;
        END $$""",  # noqa: S608
        "CREATE TRIGGER account_words BEFORE INSERT OR UPDATE ON provisioning_account"
        " FOR EACH ROW EXECUTE FUNCTION account_words()",
        "UPDATE provisioning_account SET words = NULL",
        "CREATE INDEX account_search ON provisioning_account USING gin (words)"
        " WITH (fastupdate = on, gin_pending_list_limit = 64)",
        f"COMMENT ON TRIGGER account_words ON provisioning_account IS '{VERSION}'",
    ),
)

_delete = f"""
/* {VERSION} */ INSERT INTO account_search (account_search, rowid, words)
VALUES ('delete', old.id, {_words("old.")});"""  # noqa: S608
_insert = f"""
/* {VERSION} */ INSERT INTO account_search (rowid, words) VALUES (new.id, {_words("new.")});"""  # noqa: S608

# https://www.sqlite.org/fts5.html#contentless_tables
SQLITE = (
    "SELECT substr(sql, instr(sql, '/* ') + 3, 16) AS version FROM sqlite_master"
    " WHERE type = 'trigger' AND name LIKE 'account_search_%' GROUP BY version HAVING count(*) = 3",
    (
        *(f"DROP TRIGGER IF EXISTS account_search_{event}" for event in ("insert", "delete", "update")),
        "DROP TABLE IF EXISTS account_search",
        f"""
        CREATE VIRTUAL TABLE account_search USING fts5 (
            words, content='', detail='none', columnsize=0,
            tokenize='ascii', prefix='{" ".join(map(str, PREFIX_LENGTHS))}'
        )""",
        f"CREATE TRIGGER account_search_insert AFTER INSERT ON provisioning_account BEGIN {_insert} END",
        f"CREATE TRIGGER account_search_delete AFTER DELETE ON provisioning_account BEGIN {_delete} END",
        f"CREATE TRIGGER account_search_update AFTER UPDATE OF {_columns()}"
        f" ON provisioning_account BEGIN {_delete} {_insert} END",
        f"INSERT INTO account_search (rowid, words) SELECT id, {_words()}"  # noqa: S608
        " FROM provisioning_account",
        "PRAGMA user_version = 0",  # Nothing is left to forget; see `erasure`.
    ),
)
