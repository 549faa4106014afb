"""What commands do when nobody reads their output to its end, as in `manage.py doctor | head`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.checkout import ROOT
from tests.provisioning.work import database_url

pytestmark = pytest.mark.django_db(transaction=True)

MORE = ("version", "gateway", "reseal", "doctor --json")


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "command",
    ["help", "backup -", *(pytest.param(other, marks=pytest.mark.long) for other in MORE)],
)
def test_a_command_whose_output_is_no_longer_read_ends_without_a_word(command: str, unbuffered: str) -> None:
    """The image sets PYTHONUNBUFFERED, so there the first line fails, and elsewhere the last one."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"DATABASE_URL": database_url(), "PYTHONUNBUFFERED": unbuffered}

    with os.fdopen(writer) as closed:
        ended = subprocess.run(
            [sys.executable, "manage.py", *command.split()],
            cwd=ROOT,
            env=environment,
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")
