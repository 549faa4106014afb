"""Backups of both databases, their restoration, and drills, with real files and processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from provisioning import backups, gateway
from provisioning.models import Account, Attempt, Worker
from provisioning.sealed import Sealed
from tests.postgresql import find_programs
from tests.provisioning.work import State, account_in, again

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def with_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find PostgreSQL's programs where the tests' server is, and give other processes these settings."""
    if connection.vendor == "postgresql":
        monkeypatch.setenv("PATH", f"{find_programs()}:{os.environ['PATH']}")
        monkeypatch.setitem(connection.settings_dict, "STATEMENT_TIMEOUT", None)


@pytest.fixture
def waiting() -> Account:
    account_in(State.CREATED, username="anna-2", oauth2_token=Sealed.of("canary-token"))
    return account_in(State.QUEUED, password=Sealed.of("canary-password"))


def run(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


@pytest.fixture
def backup(waiting: Account, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "backup"
    assert run("backup", str(path)).startswith(f"Wrote {path} (")
    yield path
    connection.close()


def test_a_backup_is_private_complete_and_never_overwritten(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in backup.parent.iterdir()] == [backup.name]
    with pytest.raises(CommandError, match="already exists"):
        run("backup", str(backup))
    assert b"canary-password" not in backup.read_bytes()


def test_a_restored_database_sends_nothing_even_if_the_restoration_fails_later(
    backup: Path, waiting: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Attempt, "complete", Mock(side_effect=OperationalError))

    with pytest.raises(OperationalError):
        run("restore", str(backup), "--replace")

    assert gateway.state().stop_reason


def test_a_restored_account_is_unchanged_and_looked_up_before_sending(backup: Path, waiting: Account) -> None:
    Account.objects.filter(pk=waiting.pk).update(first_name="Changed")
    account_in(State.QUEUED, username="younger")

    assert "Sending is stopped" in run("restore", str(backup), "--replace")

    restored = again(waiting)
    assert (restored.first_name, restored.password.open()) == (waiting.first_name, "canary-password")
    assert not Account.objects.filter(username="younger").exists()
    assert gateway.state().stop_reason == backups.RESTORED
    assert restored.unanswered().get().outcome == Attempt.Outcome.UNKNOWN
    account_in(State.QUEUED, username="next")  # Row numbers go on where they were.


def test_accounts_are_replaced_only_on_request_and_not_under_a_worker(backup: Path) -> None:
    with pytest.raises(CommandError, match="The database already has accounts"):
        run("restore", str(backup))
    Worker.objects.create(name="host:1")
    with pytest.raises(CommandError, match="A worker is running"):
        run("restore", str(backup), "--replace")


def test_a_file_that_is_no_backup_changes_nothing(waiting: Account, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"something else" * 1000)
    sqlite3.connect(tmp_path / "empty").close()
    for name in ("other", "empty", "missing"):
        with pytest.raises(CommandError):
            run("restore", str(tmp_path / name), "--replace")
    assert again(waiting) == waiting


def test_a_backup_goes_through_pipes(
    waiting: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    run("backup", "-")
    (tmp_path / "piped").write_bytes(capsysbinary.readouterr().out)
    Account.objects.filter(pk=waiting.pk).update(first_name="Changed")

    with (tmp_path / "piped").open() as piped, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", piped)
        run("restore", "-", "--replace")

    assert again(waiting).first_name == waiting.first_name


def test_a_file_prepared_by_somebody_else_gets_nothing_of_a_backup(waiting: Account, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    theirs.chmod(0o666)
    for prepare in ("hardlink_to", "symlink_to"):
        getattr(tmp_path / f"{prepare}.partial", prepare)(theirs)
        run("backup", str(tmp_path / prepare))

        assert theirs.read_text() == "theirs"
        assert (tmp_path / prepare).stat().st_mode & 0o777 == 0o600


def test_a_backup_that_fails_leaves_no_file(waiting: Account, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        run("backup", str(tmp_path / "missing" / "backup"))
    assert list(tmp_path.iterdir()) == []


def test_the_drills_succeed_and_change_nothing(waiting: Account) -> None:
    before = list(Account.objects.values())

    assert run("drill", "restore").startswith("Backed up and restored 2 accounts in ")
    assert run("drill", "rotate") == (
        "Sealed 2 secrets with the first of SEALING_KEYS. The new key alone opens everything.\n"
    )
    assert run("drill", "wrong-key") == "With a wrong key, nothing starts, and the message says why.\n"
    assert list(Account.objects.values()) == before
    assert not gateway.state().stop_reason


def test_a_drill_with_keys_that_do_not_fit_fails(waiting: Account, settings: Settings) -> None:
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="No key in SEALING_KEYS opens"):
        run("drill", "restore")
