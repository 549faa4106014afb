"""`manage.py sandbox`, run as a separate process."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from provisioning.management.commands.sandbox import Command
from provisioning.sandbox import FAULTS, Server
from tests.environment import CANARIES
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import Partner, V3Partner, until
from tests.provisioning.values import SIGN_UP

MANAGE = Path(__file__).parents[3] / "manage.py"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    processes = []

    def start(*options: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), "sandbox", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_the_pages_credentials_until_told_to_stop(start: Start, signum: int) -> None:
    process = start("--port", 0)
    with Partner(listening(process)) as partner:
        assert partner.create("anna").status == 201
        process.send_signal(signum)

        output, log = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (0, "")
    assert "POST /v2/partner/accounts → 201" in log
    for unwanted in ("Traceback", SIGN_UP["password"], *CANARIES.values()):
        assert unwanted not in log


def test_its_options_reach_the_provider(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    options = ("--latency", 0.2, "--rate", 1000, "--quota", 2, "--file", file)
    with Partner(listening(start("--port", 0, *options))) as partner:
        started = time.monotonic()
        told = [partner.create("anna").status, partner.create("bert").status, partner.create("carl").status]

    assert told == [201, 201, 403]
    assert time.monotonic() - started >= 0.6
    assert len(file.read_text().splitlines()) == 2


def test_it_serves_the_api_that_the_page_is_configured_for(start: Start) -> None:
    with V3Partner(listening(start("--port", 0, CONSTANT_CONTACT_API="v3"))) as partner:
        assert partner.create("Anna+Jones").status == 201


def test_a_limit_of_one_call_per_second_is_enforced(start: Start) -> None:
    with Partner(listening(start("--port", 0, "--rate", 1))) as partner:
        until(lambda: partner.page().status == 403)


def test_every_answered_account_survives_a_kill(start: Start, tmp_path: Path) -> None:
    options = ("--port", 0, "--file", tmp_path / "accounts")
    process = start(*options)
    with Partner(listening(process)) as partner:
        partner.create("anna")
        process.kill()
        process.wait()

    with Partner(listening(start(*options))) as partner:
        assert partner.names() == ["anna"]


def test_a_taken_port_is_explained(start: Start, sandbox: Server) -> None:
    port = sandbox.server_address[1]

    process = start("--port", port)
    output, log = process.communicate(timeout=PATIENCE)

    assert (process.returncode, output) == (1, "")
    assert log == f"CommandError: Can't use port {port}: Address already in use. Choose another with --port.\n"


def test_an_impossible_port_is_explained() -> None:
    assert refusal(port=65536).startswith("Can't use port 65536")


def test_an_unusable_file_is_explained(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("hello\n")

    assert refusal(file=notes) == f"Can't keep accounts in {notes}: it is not a file of sandbox accounts."
    assert refusal(file=tmp_path) == f"Can't keep accounts in {tmp_path}: Is a directory."


def test_missing_credentials_are_named(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API_KEY = settings.CONSTANT_CONTACT_PASSWORD = ""

    assert refusal().startswith("Set CONSTANT_CONTACT_API_KEY, CONSTANT_CONTACT_PASSWORD first")


def test_its_help_lists_every_fault() -> None:
    said = Command().create_parser("manage.py", "sandbox").format_help()

    for name, fault in FAULTS.items():
        assert re.search(f"^  {name} +{fault.description}$", said, re.MULTILINE)


def listening(process: subprocess.Popen[str]) -> str:
    """The address at which the process says it is listening."""
    assert process.stdout
    line = process.stdout.readline()
    found = re.fullmatch(r"The sandbox is listening on (http://127\.0\.0\.1:[0-9]+)\n", line)
    assert found, line
    return found[1]


def refusal(**options: object) -> str:
    """The error message with which the command ends before it serves anything."""
    with pytest.raises(CommandError) as raised:
        call_command("sandbox", **options)
    return str(raised.value)
