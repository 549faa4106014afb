"""Build the image of the Dockerfile and run it, without a Docker engine: `python -m tests.image`.

It needs root, buildah, and debootstrap. Where no registry can be reached, there is no official image of Python, so the
build starts from a Debian that debootstrap makes with this machine's own sources.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.checkout import ROOT
from tests.patience import PATIENCE
from tests.postgresql import free_port

SUITE = "bookworm"
PACKAGES = "ca-certificates,python3-venv,python-is-python3"
STEP_TIMEOUT = 1200
"""Seconds."""
OF_THIS_MACHINE = ("/etc/pip.conf", "/etc/ssl/certs")
"""What the build needs to install packages as this machine does."""
CREDENTIALS = {f"CONSTANT_CONTACT_{name}": "given" for name in ("API_KEY", "USERNAME", "PASSWORD")}
SETTINGS = {
    "ALLOWED_HOSTS": "signup.example.com",
    "TRUSTED_PROXIES": "127.0.0.1",
    "CONSTANT_CONTACT_URL": "http://127.0.0.1:9",
    "CONSTANT_CONTACT_LIST_HOURS": "0",
    "DATABASE_URL": "sqlite:////shared/db.sqlite3",
}
USER = "10001"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Buildah:
    """buildah with its own storage in `directory`. It needs neither a daemon nor namespaces."""

    def __init__(self, directory: Path) -> None:
        stores = [f"--root={directory / 'storage'}", f"--runroot={directory / 'run'}"]
        self.command = ["buildah", "--storage-driver=vfs", *stores]

    def __call__(self, *arguments: str, data: bytes | None = None) -> bytes:
        done = subprocess.run(
            [*self.command, *arguments], input=data, stdout=subprocess.PIPE, check=True, cwd=ROOT, timeout=STEP_TIMEOUT
        )
        return done.stdout

    def make_base(self, directory: Path) -> str:
        """Make an image of a small Debian with Python, and return its name."""
        mirrors = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(SITE)", f"Codename: {SUITE}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        tree = directory / "base"
        options = ["--variant=minbase", f"--include={PACKAGES}"]
        subprocess.run(["debootstrap", *options, SUITE, tree, *mirrors[:1]], check=True, stdout=subprocess.DEVNULL)
        container = self("from", "scratch").decode().strip()
        self("add", "--quiet", container, str(tree), "/")
        self("commit", "--quiet", container, "base")
        self("rm", container)
        shutil.rmtree(tree)
        return "localhost/base"

    def build(self, base: str) -> None:
        volumes = [f"--volume={path}:{path}:ro" for path in OF_THIS_MACHINE if Path(path).exists()]
        self(
            "build",
            "--quiet",
            "--format=docker",
            "--isolation=chroot",
            *volumes,
            f"--build-arg=PYTHON={base}",
            "--tag=signup",
            ".",
        )


class Container:
    """A container of the image, with its database in a volume.

    The volume is not /data: buildah keeps what the image declares as a volume to itself. `run` runs commands in a
    second container beside it, because a command's end unmounts its container's volumes.
    """

    def __init__(self, buildah: Buildah, data: Path) -> None:
        self.buildah = buildah
        self.data = data
        self.name, self.beside = (buildah("from", "signup").decode().strip() for _ in range(2))
        self.image = json.loads(buildah("inspect", "--type=image", "signup"))["Docker"]["config"]
        os.chown(data, int(USER), int(USER))
        self.options = ["--isolation=chroot", f"--volume={data}:/shared", "--hostname=signup"]
        self.environment = SETTINGS | CREDENTIALS

    def _run(self, name: str, *command: str) -> list[str]:
        given = [f"--env={setting}={value}" for setting, value in self.environment.items()]
        return ["run", *self.options, *given, name, "--", *command]

    def run(self, *command: str, data: bytes | None = None) -> bytes:
        return self.buildah(*self._run(self.beside, *command), data=data)

    def manage(self, *arguments: str, data: bytes | None = None) -> bytes:
        return self.run("python", "manage.py", *arguments, data=data)

    @contextmanager
    def started(self) -> Iterator[int]:
        """Run the image's own command, and return its port once it is ready. Stop it as Docker does, with SIGTERM."""
        port = free_port()
        command = [part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in self.image["Cmd"]]
        noting_its_id = ["sh", "-c", 'echo $$ > /shared/pid && exec "$@"', "sh", *command]
        process = subprocess.Popen([*self.buildah.command, *self._run(self.name, *noting_its_id)])
        try:
            wait_until_ready(port, process)
            yield port
        finally:  # buildah itself would leave its processes running.
            os.kill(int((self.data / "pid").read_text()), signal.SIGTERM)
            ended = process.wait(timeout=PATIENCE)
        assert ended == 0


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as response:
                told = json.load(response)
        except OSError:
            continue
        if told == {"status": "ready", "workers": 1}:
            return
    raise AssertionError("The container did not get ready. See its output above.")


def check(container: Container) -> None:
    """Use the image as docs/production.md and docs/operations.md say."""
    assert container.run("id", "-u").decode().strip() == USER
    assert container.image["User"] == USER
    container.run("test", "-w", "/data")
    assert container.run("sh", "-c", "ls provisioning/sandbox || true") == b""
    for program in ("pg_dump", "pg_restore"):
        assert program.encode() in container.run(program, "--version")
    secrets = container.manage("generate_secrets").decode()
    container.environment |= dict(re.findall(r"^(\w+)=(.+)$", secrets, re.MULTILINE))
    container.manage("check", "--deploy")
    with container.started() as port:
        say("The image is built, and ready.")
        health = [part.replace("8000", str(port)) for part in container.image["Healthcheck"]["Test"][1:]]
        container.run(*health)
        container.manage("alive")
        backup = container.manage("backup", "-")
        assert backup.startswith(b"SQLite format 3")
    container.manage("restore", "-", data=backup)
    with container.started():
        say("A backup is restored in the container.")


def main() -> int:
    missing = [program for program in ("buildah", "debootstrap") if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        why = f"on Debian, apt-get install {' '.join(missing)}" if missing else "only root can do this"
        say(f"Not run: {why}.")
        return 1 if os.environ.get("CI") == "true" else 0
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        directory = Path(name)
        (directory / "data").mkdir()
        buildah = Buildah(directory)
        started = time.monotonic()
        buildah.build(buildah.make_base(directory))
        say(f"Built in {time.monotonic() - started:.0f} seconds.")
        check(Container(buildah, directory / "data"))
        buildah("rm", "--all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
