"""schemathesis, a fuzzer that reads openapi.json, finds nothing on a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.patience import PATIENCE
from tests.signup.api.conftest import Site
from tests.signup.api.partner import BODY, SIGNUPS

EXCLUDED = ("positive_data_acceptance", "negative_data_rejection")
"""Checks that assume that a schema says everything. Ours can't say that a state belongs to a country or that a username
is taken, and values are cleaned up before they are validated."""


def sign_up(site: Site, username: str) -> str:
    username = username.replace("_", "-").strip("-")
    headers = {"Authorization": f"Bearer {site.key}", "Idempotency-Key": username, "Content-Type": "application/json"}
    body = json.dumps(BODY | {"username": username}).encode()
    with urlopen(Request(f"{site.url}{SIGNUPS}", body, headers)) as answer:
        return str(json.load(answer)["reference"])


def run(site: Site, directory: Path, *options: str) -> None:
    for state in ("held", "queued", "unconfirmed", "closed"):
        site.installation.change(sign_up(site, f"{directory.name[-9:]}.{state}"), state=state)
    site.installation.refuse(sign_up(site, f"{directory.name[-9:]}.rejected"), "taken", username="")
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
    command += [f"{site.url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {site.key}"]
    command += ["--exclude-checks", ",".join(EXCLUDED), "--suppress-health-check", "all", "--warnings", "off"]
    ran = subprocess.run(
        [*command, "--continue-on-failure", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=20 * PATIENCE,
    )
    assert ran.returncode == 0, ran.stdout[-9000:] + ran.stderr[-2000:]
    assert "Traceback" not in site.installation.log.read_text()


@pytest.mark.slow  # A real server, and a fuzzer in a process of its own.
def test_schemathesis_finds_nothing(site: Site, tmp_path: Path) -> None:
    run(site, tmp_path, "--max-examples", "2", "--seed", "1", "--phases", "examples,fuzzing,stateful")


@pytest.mark.attack
@pytest.mark.timeout(3600)
def test_schemathesis_finds_nothing_in_a_long_run(site: Site, tmp_path: Path) -> None:
    run(site, tmp_path, "--max-examples", "200")
