"""Backups: one file with everything in the database, written while the installation keeps running, and read back.

SQLite's is a database file, PostgreSQL's an archive of pg_dump. Either needs SEALING_KEYS to be of use.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from django.db import connection

from provisioning import gateway
from provisioning.models import Account, Attempt

RESTORED = (
    "The database was restored from a backup. Accounts that are waiting here may have been created since, and newer"
    " sign-ups are missing. Before you resume, check what docs/operations.md lists."
)


MAY_BE_SENT = "Restored from a backup: it may have been sent since."


class BackupFailed(Exception):
    """Raised if a backup can't be written or read. The message says why, without secrets."""


def write(path: Path) -> None:
    """Write a backup that only its owner can read. If this fails, there is no file."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)  # In a shared directory, somebody else's file or link may wait for our data.
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        if connection.vendor == "sqlite":
            _copy_sqlite(partial)
        else:
            _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}", name_last=True)
            _run("pg_restore", "--list", str(partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> None:
    """Replace everything in the database with the backup's contents."""
    if connection.vendor == "sqlite":
        _require_sound(path)
        connection.ensure_connection()
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source:
            source.backup(connection.connection)
        connection.close()
    else:
        _run("pg_restore", "--list", str(path))
        _drop_tables()
        options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
        _run("pg_restore", *options, f"--dbname={connection.settings_dict['NAME']}", str(path))


def mark_as_restored() -> None:
    """Stop sending, and note that what waits to be sent may have been sent since the backup.

    Because of the note, an account whose username turns out to be in use is looked for before its customer is asked.
    """
    gateway.stop(RESTORED)
    for account in Account.objects.filter(state=Account.State.QUEUED):
        call = Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=account.username)
        call.complete(outcome=Attempt.Outcome.UNKNOWN, error_message=MAY_BE_SENT)


def has_accounts() -> bool:
    """Whether there is anything to lose in the database."""
    return Account._meta.db_table in connection.introspection.table_names() and Account.objects.exists()


def _copy_sqlite(path: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # One file, without a log next to it.
    _require_sound(path)


def _require_sound(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (result,) = database.execute("PRAGMA quick_check").fetchone()
            database.execute("SELECT 1 FROM django_migrations")
    except sqlite3.Error as error:
        raise BackupFailed(f"{path.name} is not a backup: {error}.") from None
    if result != "ok":
        raise BackupFailed(f"{path.name} is damaged.")


def _drop_tables() -> None:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} CASCADE")
        cursor.execute("DROP FUNCTION IF EXISTS account_words() CASCADE")


def _run(program: str, *arguments: str, name_last: bool = False) -> None:
    """Run one of PostgreSQL's programs on this database, with the password in its environment."""
    (_psql, *where, name), environment = connection.client.settings_to_cmd_args_env(connection.settings_dict, [])
    command = [program, *([] if "--list" in arguments else where), *arguments, *([name] if name_last else [])]
    try:
        ran = subprocess.run(  # noqa: S603
            command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise BackupFailed(f"{program} is not installed. On Debian: apt-get install postgresql-client") from None
    if ran.returncode:
        raise BackupFailed(f"{program} failed: {ran.stderr.strip()}")
