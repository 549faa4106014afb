"""Files with personal data or secrets are private to the user who runs the product."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pytest_django import Settings

from provisioning.sandbox import Server
from signup.checks import check_files
from signup.sqlite import PrivateConnection
from tests.checkout import Checkout
from tests.provisioning.sandbox.partner import partner_of, provider


@pytest.fixture(autouse=True)
def usual_umask() -> None:
    os.umask(0o022)


def modes(directory: Path, pattern: str) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in directory.glob(pattern)}


def test_the_database_and_sqlites_other_files_are_private(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db.sqlite3", factory=PrivateConnection)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE one (number)")
        database.commit()
        assert modes(tmp_path, "db.sqlite3*") == dict.fromkeys(
            ("db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"), "0o600"
        )


OTHER_PROCESS = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
"""


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_another_connection_breaks_no_lock(tmp_path: Path, mode: str) -> None:
    """A process that closes a file releases all its locks on it: https://www.sqlite.org/howtocorrupt.html"""
    path = tmp_path / "db.sqlite3"
    with closing(sqlite3.connect(path, factory=PrivateConnection, isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE one (number)")
        database.execute("BEGIN IMMEDIATE")
        sqlite3.connect(path, factory=PrivateConnection).close()

        other = subprocess.run([sys.executable, "-c", OTHER_PROCESS, path], capture_output=True, text=True, check=False)

    assert "database is locked" in other.stderr


def test_another_connection_does_not_delete_the_log(tmp_path: Path) -> None:
    """The last process to close a database in WAL mode deletes its log. It knows from a lock that it is the last."""
    path = tmp_path / "db.sqlite3"
    with closing(sqlite3.connect(path, factory=PrivateConnection, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE one (number)")
        sqlite3.connect(path, factory=PrivateConnection).close()
        come_and_go = (
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM one').connection.close()"
        )

        subprocess.run([sys.executable, "-c", come_and_go, path], check=True)

        assert (tmp_path / "db.sqlite3-wal").exists()
        database.execute("INSERT INTO one VALUES (1)")


def test_a_database_in_memory_creates_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x?mode=memory&cache=shared"):
        sqlite3.connect(name, uri=True, factory=PrivateConnection).close()
    assert not list(tmp_path.iterdir())


def test_the_accounts_of_the_sandbox_are_private(tmp_path: Path) -> None:
    with Server(provider(file=tmp_path / "sandbox.jsonl")) as server, partner_of(server.url) as partner:
        partner.create("anna")
    assert modes(tmp_path, "*") == {"sandbox.jsonl": "0o600"}


def test_an_installation_creates_private_files(checkout: Checkout) -> None:
    secrets = checkout.run("manage.py", "generate_secrets").stdout
    credentials = "".join(f"CONSTANT_CONTACT_{name}=given\n" for name in ("API_KEY", "USERNAME", "PASSWORD"))
    (checkout.directory / ".env").write_text(f"DEBUG=true\n{secrets}{credentials}")
    assert checkout.run("manage.py", "migrate", "-v0").returncode == 0
    assert modes(checkout.directory, "db.sqlite3") == {"db.sqlite3": "0o600"}


@pytest.mark.parametrize("name", ["db.sqlite3", "db.sqlite3-wal", "sandbox.jsonl", ".env"])
@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, True), (0o644, True), (0o602, True)])
def test_a_file_that_others_can_read_is_reported(
    tmp_path: Path, settings: Settings, name: str, mode: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BASE_DIR = tmp_path
    database = {"ENGINE": "signup.sqlite", "NAME": str(tmp_path / "db.sqlite3")}
    monkeypatch.setitem(settings.DATABASES, "default", database)
    (tmp_path / name).touch()
    (tmp_path / name).chmod(mode)

    messages = check_files()

    assert [message.id for message in messages] == (["signup.W005"] if told else [])
    assert all(name in message.msg and "chmod 600" in str(message.hint) for message in messages)


def test_without_files_there_is_nothing_to_report(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BASE_DIR = tmp_path
    for database in (
        {"ENGINE": "django.db.backends.postgresql", "NAME": "signup"},
        {"ENGINE": "signup.sqlite", "NAME": ":memory:"},
    ):
        monkeypatch.setitem(settings.DATABASES, "default", database)
        assert check_files() == []
