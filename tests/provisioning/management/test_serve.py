"""`manage.py serve` as a complete production installation, behind HTTPS."""

import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT, Checkout, Program
from tests.patience import PATIENCE

LISTENS = r"Listening at: (http://127\.0\.0\.1:(\d+)) \((\d+)\)"
WORKS = r"worker started name=\S+?(\d+) "


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("production"))
    checkout.environment |= {
        "ALLOWED_HOSTS": ".example.com",
        "TRUSTED_PROXIES": "127.0.0.1",
        "DATABASE_URL": f"sqlite:///{checkout.directory / 'db.sqlite3'}",
        "CONSTANT_CONTACT_API_KEY": "key",
        "CONSTANT_CONTACT_USERNAME": "partner",
        "CONSTANT_CONTACT_PASSWORD": "password",
    }
    (checkout.directory / ".env").write_text(checkout.run("manage.py", "generate_secrets").stdout)
    for command in (["migrate"], ["collectstatic", "--no-input"]):
        assert checkout.run("manage.py", *command).returncode == 0
    return checkout


def serve(prepared: Checkout) -> Iterator[Program]:
    program = prepared.start("manage.py", "serve", "--bind", "127.0.0.1:0")
    program.find(LISTENS)
    program.find(WORKS)
    yield program
    program.process.terminate()
    program.process.wait(timeout=PATIENCE)


installation = pytest.fixture(serve)
shared = pytest.fixture(serve, scope="module")
"""For tests that don't end it."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_it_ends_cleanly(installation: Program, number: int) -> None:
    installation.process.send_signal(number)

    assert installation.process.wait(timeout=PATIENCE) == 0
    assert "worker ended" in installation.said
    assert "Shutting down: Master" in installation.said
    assert "Traceback" not in installation.said


@pytest.mark.parametrize(
    ("pattern", "group"),
    [pytest.param(LISTENS, 3, marks=pytest.mark.long), (WORKS, 1)],
    ids=["web server", "worker"],
)
def test_it_ends_with_an_error_if_one_of_its_processes_is_killed(
    installation: Program, pattern: str, group: int
) -> None:
    os.kill(int(installation.find(pattern)[group]), signal.SIGKILL)

    assert installation.process.wait(timeout=PATIENCE) == 1
    assert "ended unexpectedly" in installation.said


@pytest.mark.parametrize(("pattern", "group"), [(LISTENS, 3), (WORKS, 1)], ids=["web server", "worker"])
def test_its_processes_share_the_memory_of_what_they_loaded(shared: Program, pattern: str, group: int) -> None:
    rollup = Path(f"/proc/{shared.find(pattern)[group]}/smaps_rollup").read_text()
    shared_kb, own_kb = (int(re.findall(rf"(?m)^{kind}_Dirty: +(\d+)", rollup)[0]) for kind in ("Shared", "Private"))

    assert shared_kb > own_kb


def test_its_web_server_keeps_and_limits_connections_though_django_was_loaded_before(prepared: Checkout) -> None:
    said = prepared.run(
        "manage.py",
        "shell",
        "-v0",
        "-c",
        "from django.db import connections; connections['default'];"
        "import signup.wsgi;"
        "print([connections['default'].settings_dict.get(name) for name in ('CONN_MAX_AGE', 'STATEMENT_TIMEOUT')])",
    )

    assert said.stdout.splitlines()[-1] == "[600, 15.0]"


def test_the_containers_healthcheck_passes(shared: Program, prepared: Checkout) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    check = json.loads(dockerfile.partition("HEALTHCHECK")[2].partition("CMD")[2].partition("\nCMD")[0])[1:]
    port = shared.find(LISTENS)[2]

    assert prepared.run(*(part.replace("8000", port) for part in check)).returncode == 0
    assert prepared.run(*(part.replace("8000", "1") for part in check)).returncode == 1


def test_its_log_has_paths_without_queries_and_no_addresses(shared: Program) -> None:
    request = urllib.request.Request(
        shared.find(LISTENS)[1] + "/healthz?secret",
        headers={"Host": "www.example.com", "Referer": "https://x.org"},
    )
    urllib.request.urlopen(request).close()

    line = shared.find(r"\[.*\] GET /healthz 200 .*")[0]
    assert not any(word in line for word in ("secret", "x.org", "127.0.0.1"))


def test_only_allowed_hosts_are_answered_except_by_probes(shared: Program) -> None:
    address = shared.find(LISTENS)[1]

    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(address)
    with urllib.request.urlopen(address + "/readyz") as response:
        assert response.status == 200
