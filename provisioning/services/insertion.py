"""Storing a new account by one statement, because every sign-up waits for it.

The ORM takes several times as long to build the statement as the database takes to run it, and it would need a
savepoint for an account that conflicts with another one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import connection, connections
from django.db.models import CharField, Field
from django.db.models.expressions import DatabaseDefault
from django.db.models.functions import Now

from provisioning.mirror.models import name_key
from provisioning.models import Account

_NOW = {"sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')", "postgresql": "statement_timestamp()"}


def insert(account: Account, *, even_if_listed: bool = False) -> bool:
    """Store a new account. Return False, with nothing stored, if it conflicts with another one in a unique column.

    The same goes for a username that the mirror of the partner's list has, or once had, unless `even_if_listed`.

    `due_at` is either None or `Now()`, the database's clock. It and columns with the database's defaults are read from
    the database when they are next accessed.
    """
    database = connections[connection.alias]  # Without the proxy, which every field would look up several times.
    given = {
        field.column: _prepared(field, value, database)
        for field in Account._meta.concrete_fields
        if not field.primary_key and not isinstance(value := getattr(account, field.attname), DatabaseDefault | Now)
    }
    due_now = isinstance(account.due_at, Now)
    unlisted = () if even_if_listed else (name_key(account.username),)
    statement = _statement(database.vendor, tuple(given), due_now=due_now, only_unlisted=bool(unlisted))
    with database.cursor() as cursor:
        cursor.execute(statement, [*given.values(), *unlisted])
        row = cursor.fetchone()
    if row is None:
        return False
    account.pk, account._state.adding, account._state.db = row[0], False, database.alias
    for field in Account._meta.concrete_fields:
        if field.column not in given and not field.primary_key:
            del account.__dict__[field.attname]
    return True


def _prepared(field: Field[Any, Any], value: Any, database: Any) -> Any:
    """Return a value as the database takes it. Most are text, which needs no preparation."""
    is_text = type(field) is CharField and type(value) is str
    return value if is_text else field.get_db_prep_save(value, database)


@cache
def _statement(vendor: str, columns: tuple[str, ...], *, due_now: bool, only_unlisted: bool) -> str:
    names, values = ", ".join(columns), ", ".join(["%s"] * len(columns))
    if due_now:
        names, values = f"{names}, due_at", f"{values}, {_NOW[vendor]}"
    listed = "EXISTS (SELECT 1 FROM provisioning_listentry WHERE username_key = %s)"
    row = f"SELECT {values} WHERE {f'NOT {listed}' if only_unlisted else 'true'}"
    return f"INSERT INTO provisioning_account ({names}) {row} ON CONFLICT DO NOTHING RETURNING id"
