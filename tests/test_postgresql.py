"""The tests' temporary PostgreSQL server, if PostgreSQL is installed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import postgresql
from tests.checkout import Program
from tests.patience import PATIENCE
from tests.postgresql import PostgreSQL

RUN = [sys.executable, "-m", "tests.postgresql", sys.executable, "-c"]

pytestmark = pytest.mark.slow


def test_commits_survive_a_restart_and_connections_do_not(database: PostgreSQL) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")

        database.restart()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT * FROM kept").fetchone() == (1,)


def test_a_command_gets_its_address_and_its_exit_status_is_returned(database: PostgreSQL) -> None:
    does = "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL']).close(); sys.exit(3)"

    assert subprocess.run([*RUN, does], check=False).returncode == 3


def test_it_is_stopped_when_the_command_is_killed(database: PostgreSQL, tmp_path: Path) -> None:
    does = "import os, time; print(os.environ['DATABASE_URL'], flush=True); time.sleep(60)"
    program = Program([*RUN, does], Path.cwd(), dict(os.environ), tmp_path / "log")
    url = program.find("postgres://.*")[0]

    program.process.send_signal(signal.SIGTERM)
    program.process.wait(timeout=PATIENCE)

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_postgresql_nothing_runs_and_ci_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, status: int
) -> None:
    def missing() -> Path:
        raise FileNotFoundError("PostgreSQL is not found")

    monkeypatch.setattr(postgresql, "find_programs", missing)
    monkeypatch.setenv("CI", ci)

    assert postgresql.main(["pytest"]) == status
    assert capsys.readouterr().err == "PostgreSQL is not found. Not run: pytest\n"
