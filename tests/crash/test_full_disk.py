"""A disk that is really full: a small file system of the test's own, with SQLite's database on it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest
from django.conf import settings

from provisioning.sandbox import Server
from tests.checkout import Checkout, Program
from tests.provisioning.sandbox.partner import provider, until
from tests.signup.accounts import TYPED
from tests.visitor import Visitor

pytestmark = pytest.mark.slow

SIZE = "4m"
OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
"""Runs a shell that may mount file systems, which only it and what it starts can see."""


@dataclass
class Site:
    """A web server and a worker, with their database on a disk of their own at `disk`."""

    running: Program
    disk: Path
    visitor: Visitor

    def fill(self) -> None:
        with (self.disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def readiness(self) -> str:
        try:
            return self.visitor.open("/readyz")
        except HTTPError as error:
            return error.read().decode()

    def sign_up(self, name: str) -> None:
        self.visitor.open("/", TYPED | {"username": name, "email": f"{name}@example.com", "second": "1"})


@pytest.fixture
def sandbox() -> Iterator[Server]:
    with Server(provider()) as sandbox:
        yield sandbox


@pytest.fixture
def site(checkout: Checkout, sandbox: Server) -> Iterator[Site]:
    mounts = "mount -t tmpfs none /mnt"
    if not shutil.which("unshare") or subprocess.run([*OWN_DISK, mounts], capture_output=True, check=False).returncode:
        pytest.skip("Only a machine with user namespaces (unshare) lets a test have a disk of its own.")
    disk = checkout.directory / "disk"
    disk.mkdir()
    checkout.environment |= {
        "DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{disk}/db.sqlite3",
        "SECRET_KEY": settings.SECRET_KEY,
        "SEALING_KEYS": settings.SEALING_KEYS[0],
        "ABUSE_PROTECTION": "false",
        "CONSTANT_CONTACT_URL": sandbox.url,
        "CONSTANT_CONTACT_LIST_HOURS": "0",
        "PROVISION_RECHECK": "1",
        **{
            name: getattr(settings, name)
            for name in ("CONSTANT_CONTACT_API_KEY", "CONSTANT_CONTACT_USERNAME", "CONSTANT_CONTACT_PASSWORD")
        },
    }
    manage = f"{shlex.quote(sys.executable)} manage.py"
    serve = f"{manage} migrate -v0 && exec {manage} serve --bind 127.0.0.1:0"
    script = f"mount -t tmpfs -o size={SIZE} none {shlex.quote(str(disk))} && {serve}"
    running = Program([*OWN_DISK, script], checkout.directory, checkout.environment, checkout.directory / "log")
    try:
        address = running.find(r"Listening at: (http://127\.0\.0\.1:\d+)")[1]
        yield Site(running, Path(f"/proc/{running.process.pid}/root{disk}"), Visitor(address))
    finally:
        running.process.terminate()
        running.process.wait()


def test_nothing_is_lost_or_made_twice_while_the_disk_is_full(site: Site, sandbox: Server) -> None:
    until(lambda: '"workers": 1' in site.readiness())
    sandbox.provider.latency = 2
    site.sign_up("anna")
    until(lambda: sandbox.provider.calls)  # Its answer finds the disk full.
    site.fill()

    until(lambda: "The database's disk is full." in site.readiness())  # It may be a second old.
    with pytest.raises(HTTPError, match="503") as refused:
        site.sign_up("berta")
    assert 'value="berta"' in refused.value.read().decode()
    site.running.find('worker blocked problem="The database\'s disk is full."')

    (site.disk / "filler").unlink()
    until(lambda: '"ready"' in site.readiness())
    site.sign_up("berta")
    until(lambda: sorted(sandbox.provider.accounts) == ["anna", "berta"])
    until(lambda: site.running.said.count("to=created") == 2)
    assert len([call for call in sandbox.provider.calls if call.method == "POST"]) == 2
    assert site.running.said.count("worker started") == 1
