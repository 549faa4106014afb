"""Every command that the documents name: those of `manage.py` are run here, and the others are listed with a reason."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.conf import settings

from tests.checkout import ROOT, Checkout

DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {ROOT / "CHANGELOG.md"})
COMMENTED = sorted(
    {
        *(path for path in (ROOT / "deploy").iterdir()),
        *(ROOT / name for name in (".env.example", "compose.yaml", "Dockerfile", ".github/workflows/release.yml")),
    }
)
"""Files that name commands in comments."""
PROGRAMS = (
    r"(?:\(umask|python3? |\.venv/|manage\.py [a-z]|make |docker |apt|pip |gh |git |uv |pytest |cp |curl |openssl |sudo"
    r" |systemctl |journalctl |timedatectl )"
)
ELSEWHERE = {
    r"\(umask 077; cp .env.example .env\)": "test_configuration fills in the example, and test_files checks the mode",
    r"make (run|messages|requirements)": "test_demo.py runs the first; the others change files",
    r"make (test|test-quick|test-nightly|test-attack|check)": "this is how these tests are run",
    r"make test-image": "runs by itself, because it takes minutes",
    r"make release-files": "tests/test_release.py",
    r"\.venv/bin/python -m (tests\.(benchmark|postgresql)|pytest).*": "measures, or runs tests",
    r"pytest tests/.*": "tests",
    r"python3 -m venv .*": "the Makefile does the same before any test runs",
    r"\.venv/bin/python -m pip install .* requirements(-extras)?\.txt": "requirements-dev.txt has the same",
    r"\.venv/bin/(pip install pre-commit|pre-commit install)": "for a developer's own machine",
    r"(apt|apt-get) install .*": ".ci/run installs them on a fresh machine",
    r"docker (build|exec|start|stop|run (--rm|-d|--stop-timeout)) .*": "make test-image does it",
    r"docker compose .*": "needs a Docker engine; tests/test_containers.py checks compose.yaml",
    r"docker (buildx imagetools inspect|logs|stats).*": "only shows something",
    r"gh attestation verify .*": "needs a published release",
    r"git fetch --unshallow": "needs a shallow clone",
    r"cp \.env\.example \.env": "test_configuration fills in the example",
    r"curl 127\.0\.0\.1:8000/(healthz|readyz)": "tests/image.py and tests/signup/test_health.py ask the same",
    r"openssl rand .*": "only shows something",
    r"systemctl (enable --now|restart) signup.*": "tests/deploy/test_systemd.py checks the unit, without systemd",
    r"journalctl .*": "only shows something",
    r"sudo -u postgres .*": "changes this machine",
    r"timedatectl .*": "changes this machine",
}
"""Commands that are not run here, and why."""


def documented() -> set[str]:
    """Return all commands in the documents: in indented lines and in code within a line."""
    found: set[str] = set()
    texts = [document.read_text() for document in DOCUMENTS]
    texts += [re.sub("^#", " ", document.read_text(), flags=re.MULTILINE) for document in COMMENTED]
    for text in texts:
        text = text.replace("\\\n", " ")
        found |= set(re.findall(rf"^ {{4,}}({PROGRAMS}.*)$", text, re.MULTILINE))
        found |= set(re.findall(rf"`({PROGRAMS}[^`\n]*)`", text))
        found |= set(re.findall(r": (python manage\.py [^\"\n]+)\"", text))  # An alert's.
    return {" ".join(command.split()) for command in found}


def of_manage(command: str) -> str:
    """Return the part of a command after `manage.py`, without redirections. Empty if there is none."""
    return re.sub(r" *(>>?|<) *\S+", "", command.partition("manage.py ")[2]).strip()


MENTIONS = {"", "…", "backup", "makemigrations", "serve"}
"""Commands that the documents also name without the arguments that they need."""
MANAGE = sorted({of_manage(command) for command in documented()} - MENTIONS)


def test_every_other_command_is_listed_with_a_reason() -> None:
    others = {command for command in documented() if not of_manage(command)}

    assert {command for command in others if not any(re.fullmatch(each, command) for each in ELSEWHERE)} == set()
    assert {each for each in ELSEWHERE if not any(re.fullmatch(each, command) for command in documented())} == set()


# The commands of manage.py, in one installation

PREPARE = """
import django, uuid
django.setup()
from django.contrib.auth.models import User
from provisioning.models import Account
from provisioning.sealed import Sealed
from signup.api.keys import create
from signup.api.models import ApiKey
User.objects.create(username="dora")
for name in ("anna", "berta"):
    kept = {"username": name, "email": f"{name}@example.com", "state": "held", "country_code": "US"}
    account = Account.objects.create(submission=uuid.uuid4(), password=Sealed.of("canary"), **kept)
print(account.reference, create(ApiKey(name="website", scopes=["read"])))
"""
WORK = """
import django, socket, sys
django.setup()
from provisioning.models import Worker
Worker.objects.all().delete()
if sys.argv[1] == "alive":
    Worker.objects.create(name=f"{socket.gethostname()}:1")
"""
ENDLESS = {"serve": "Listening at", "provision": "worker started"}
STATUSES = {"doctor": {0, 1, 2}}
"""Exit statuses of commands that may find something. Other commands must succeed."""


WITHOUT_QUESTIONS = {
    "createsuperuser": ("--no-input", "--username=admin", "--email=admin@example.com"),
    "makemigrations": ("--check", "--dry-run"),
}


class Installation(Checkout):
    """`values` stand in for words in capitals."""

    values: dict[str, str]


@pytest.fixture(scope="module")
def prepared_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    checkout = Installation(tmp_path_factory.mktemp("commands"))
    checkout.environment |= {
        "DJANGO_SETTINGS_MODULE": "signup.settings",
        "ALLOWED_HOSTS": "signup.example.com",
        "TRUSTED_PROXIES": "127.0.0.1",
        "SECRET_KEY": settings.SECRET_KEY,
        "SEALING_KEYS": settings.SEALING_KEYS[0],
        "CONSTANT_CONTACT_URL": "http://127.0.0.1:9",
        "CONSTANT_CONTACT_IDP_PROVIDER": "alder",
        "RETENTION_DAYS": "3650",
        "SIGNUP_LINK_KEY": "x" * 40,
        "DJANGO_SUPERUSER_PASSWORD": "correct horse battery staple",
        **{f"CONSTANT_CONTACT_{name}": "given" for name in ("API_KEY", "USERNAME", "PASSWORD")},
    }
    for command in (["collectstatic", "--no-input", "-v0"], ["migrate", "-v0"]):
        assert checkout.run("manage.py", *command).returncode == 0
    prepared = checkout.run("-c", PREPARE)
    assert prepared.returncode == 0, prepared.stderr
    reference, key = prepared.stdout.split()
    checkout.values = {
        "REFERENCE": reference,
        "PREFIX": key[:12],
        "EMAIL": "anna@example.com",
        "127.0.0.1:8000": "127.0.0.1:0",
    }
    shutil.copy(checkout.directory / "db.sqlite3", checkout.directory / "prepared.sqlite3")
    yield checkout
    checkout.end()


@pytest.fixture
def installation(prepared_installation: Installation) -> Installation:
    """Return the installation as it was prepared, whatever other commands have done to it."""
    directory = prepared_installation.directory
    for left in (*directory.glob("db.sqlite3*"), directory.parent / "signup-backup"):
        left.unlink(missing_ok=True)
    shutil.copy(directory / "prepared.sqlite3", directory / "db.sqlite3")
    return prepared_installation


TESTED_AT_LENGTH = {"drill", "provision", "restore", "serve"}
"""Commands with tests of their own. Here, they run only nightly."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [pytest.param(each, marks=[pytest.mark.long] * (each.split()[0] in TESTED_AT_LENGTH)) for each in MANAGE],
)
def test_a_documented_command_works(installation: Installation, command: str) -> None:
    name, *arguments = [installation.values.get(word, word) for word in shlex.split(command)]
    if name in ENDLESS:
        installation.start("manage.py", name, *arguments).find(ENDLESS[name])
        installation.end()
        return
    given = None
    if name == "restore":
        given = restorable(installation, arguments[0])
    if name in {"alive", "restore"}:
        assert installation.run("-c", WORK, name).returncode == 0

    done = subprocess.run(
        [sys.executable, "manage.py", name, *arguments, *WITHOUT_QUESTIONS.get(name, ())],
        cwd=installation.directory,
        env=installation.environment,
        input=given,
        capture_output=True,
        check=False,
    )

    assert done.returncode in STATUSES.get(name, {0}), done.stderr.decode()
    assert b"Traceback" not in done.stderr


def restorable(installation: Checkout, path: str) -> bytes:
    """Write a backup to this path, and return its content."""
    file = installation.directory / ("../piped" if path == "-" else path)
    file.unlink(missing_ok=True)
    assert installation.run("manage.py", "backup", str(file)).returncode == 0
    backup = file.read_bytes()
    if path == "-":
        file.unlink()
    return backup
