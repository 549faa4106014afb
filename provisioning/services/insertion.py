"""Storing a new account by one statement, because every sign-up waits for it.

The ORM takes several times as long to build the statement as the database takes to run it, and it would need a
savepoint for an account that conflicts with another one.
"""

from __future__ import annotations

from functools import cache

from django.db import connection
from django.db.models.expressions import DatabaseDefault
from django.db.models.functions import Now

from provisioning.models import Account

_NOW = {"sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')", "postgresql": "statement_timestamp()"}


def insert(account: Account) -> bool:
    """Store a new account. Return False, with nothing stored, if it conflicts with another one in a unique column.

    `due_at` is either None or `Now()`, the database's clock. It and columns with the database's defaults are read from
    the database when they are next accessed.
    """
    given = {
        field.column: field.get_db_prep_save(value, connection)
        for field in Account._meta.concrete_fields
        if not field.primary_key and not isinstance(value := getattr(account, field.attname), DatabaseDefault | Now)
    }
    due_now = isinstance(account.due_at, Now)
    with connection.cursor() as cursor:
        cursor.execute(_statement(connection.vendor, tuple(given), due_now=due_now), [*given.values()])
        row = cursor.fetchone()
    if row is None:
        return False
    account.pk, account._state.adding, account._state.db = row[0], False, connection.alias
    for field in Account._meta.concrete_fields:
        if field.column not in given and not field.primary_key:
            del account.__dict__[field.attname]
    return True


@cache
def _statement(vendor: str, columns: tuple[str, ...], *, due_now: bool) -> str:
    names, values = ", ".join(columns), ", ".join(["%s"] * len(columns))
    if due_now:
        names, values = f"{names}, due_at", f"{values}, {_NOW[vendor]}"
    return f"INSERT INTO provisioning_account ({names}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING id"  # noqa: S608  # of constants
