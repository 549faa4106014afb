"""A copy of the product as a partner gets it, run from its command line."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
NAMES = re.findall(r'\bread\(\s*"(\w+)"', (ROOT / "signup/settings.py").read_text())
"""All settings that are read from the environment."""


class Program:
    """A running command. `said` has its output, stdout and stderr."""

    def __init__(self, command: list[str], directory: Path, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            # In its own session, like a command in a terminal, so that its process group can be sent a Ctrl-C.
            self.process = subprocess.Popen(
                command, cwd=directory, env=environment, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def find(self, pattern: str) -> re.Match[str]:
        """Wait for a match of the pattern in the output, and return the first one."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said)):
            ended = self.process.poll() is not None
            assert not ended or re.search(pattern, self.said), self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)
        return found

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)


class Checkout:
    """A copy of the product in `directory`, configured only by `environment` and a `.env` file there."""

    def __init__(self, directory: Path, commit: str = "") -> None:
        """Copy this checkout, or an earlier `commit`. Raises FileNotFoundError if Git's history doesn't have it."""
        self.directory = directory / "checkout"
        self.environment = {name: value for name, value in os.environ.items() if name not in NAMES}
        self._programs: list[Program] = []
        if commit:
            extract(commit, self.directory)
            return
        for name in ("signup", "provisioning", "templates", "static"):
            # With the bytecode, except for files that another process is just writing.
            shutil.copytree(ROOT / name, self.directory / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        for name in ("manage.py", "gunicorn.conf.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.directory)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments to its end."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *command: str) -> Program:
        log = self.directory / f"log-{len(self._programs)}"
        program = Program([sys.executable, *command], self.directory, self.environment, log)
        self._programs.append(program)
        return program

    def end(self) -> None:
        """End programs that a failed test left running."""
        for program in self._programs:
            program.process.terminate()
            program.process.wait(timeout=PATIENCE)


def extract(commit: str, directory: Path) -> None:
    """Write the files of a commit to a new directory."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise FileNotFoundError(f"Git's history doesn't reach back to {commit}: fetch all of it")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")
