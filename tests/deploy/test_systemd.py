"""The systemd unit: valid, and with the stop that workers need."""

import re
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from django.conf import settings
from gunicorn.config import Config

from provisioning.management.commands.provision import SETTLING
from tests.checkout import ROOT
from tests.installed import found

GUNICORN = Config()
MAX_STOP = 5 + max(settings.CONSTANT_CONTACT_TIMEOUT + SETTLING, GUNICORN.settings["graceful_timeout"].default)
"""Seconds that `serve` may take to end: its worker and its web server end at the same time."""
UNIT = ROOT / "deploy" / "signup.service"


@pytest.fixture
def service() -> dict[str, str]:
    parser = ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


def test_systemd_understands_all_of_it(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/signup/.venv/bin/python", "/bin/true").replace("/opt/signup", str(tmp_path))
    (tmp_path / "signup.service").write_text(text.replace("User=signup", "User=root"))

    verified = subprocess.run(
        [found("systemd-analyze", "systemd"), "verify", "--man=no", tmp_path / "signup.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    complaints = [line for line in verified.stderr.splitlines() if "signup.service" in line]
    assert (verified.returncode, complaints) == (0, [])


def test_the_service_can_do_little_harm() -> None:
    rated = subprocess.run(
        [found("systemd-analyze", "systemd"), "security", "--no-pager", "--offline=true", "--threshold=20", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )

    assert rated.returncode == 0, rated.stdout


def test_a_worker_is_told_to_end_once_and_has_the_time_that_it_needs(service: dict[str, str]) -> None:
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= MAX_STOP


def test_containers_have_that_time_too() -> None:
    compose, production = ((ROOT / name).read_text() for name in ("compose.yaml", "docs/production.md"))

    given = [
        int(seconds) for seconds in re.findall(r"(?:stop_grace_period: |--stop-timeout )(\d+)", compose + production)
    ]

    assert len(given) == 3
    assert min(given) >= MAX_STOP


def test_it_runs_the_documented_command_and_restarts_it(service: dict[str, str]) -> None:
    command = service["ExecStart"].removeprefix(f"{service['WorkingDirectory']}/")

    assert f"    {command}\n" in (ROOT / "docs" / "production.md").read_text()
    assert service["Restart"] == "always"
