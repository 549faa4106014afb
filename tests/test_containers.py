"""The containers' privileges and secrets. These tests don't need Docker."""

import os
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from pytest_django import Settings

from signup.checks import check_configuration
from tests.checkout import ROOT, Checkout
from tests.postgresql import PostgreSQL, find_programs

COMPOSE = (ROOT / "compose.yaml").read_text()


def service(name: str) -> str:
    """Return a service of compose.yaml, as text."""
    found = re.search(rf"^  {name}:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("name", ["database", "migrate", "web", "worker"])
def test_every_container_is_locked_down(name: str) -> None:
    assert re.search(r"<<: \*(app|locked-down)\n", service(name))
    for rule in ("cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert rule in COMPOSE.partition("x-app:")[0]
    assert "<<: *locked-down" in COMPOSE.partition("x-app:")[2].partition("\n\n")[0]


APP = COMPOSE.partition("x-app:")[2].partition("\n\n")[0]
"""What all containers with our own image have."""


@pytest.mark.parametrize("name", ["database", "migrate", "web", "worker"])
def test_no_container_can_take_all_of_the_machine_or_be_ended_in_mid_work(name: str) -> None:
    own = service(name) + (APP if "*app" in service(name) else "")
    for limit in ("mem_limit", "pids_limit", "stop_grace_period"):
        assert re.search(rf"^ +{limit}: \d", own, re.MULTILINE), limit
    assert name == "migrate" or re.search(r"^ +cpus: \d", own, re.MULTILINE)


def test_every_running_container_has_a_health_check() -> None:
    for name in ("database", "worker"):
        assert "healthcheck:\n      test:" in service(name)
    assert "disable: true" in service("migrate")  # It ends.
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()  # The web server's.
    assert "healthcheck" not in service("web")


@pytest.mark.parametrize("name", ["README.md", "compose.yaml", "docs/operations.md", "docs/production.md"])
def test_no_documented_command_ends_workers(name: str) -> None:
    """Without `--scale`, `up` ends all workers but one."""
    commands = re.findall(r"docker compose up -d[^`\n]*", (ROOT / name).read_text())
    assert [command for command in commands if "--scale worker=2" not in command] == []


def test_every_foreign_image_is_pinned_by_its_digest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = [
        *re.findall(r"^ +image: (.+)$", COMPOSE, re.MULTILINE),
        *re.findall("^ARG PYTHON=(.+)$", dockerfile, re.MULTILINE),
    ]

    assert len(images) == 2
    for image in images:
        assert re.fullmatch(r"[\w.:-]+@sha256:[0-9a-f]{64}", image)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON}"}


@pytest.mark.parametrize("name", ["migrate", "web"])
def test_only_the_worker_gets_the_credentials(name: str) -> None:
    assert "environment: *without-credentials" in service(name)
    assert "without-credentials" not in service("worker")
    for name in ("OIDC_CLIENT_SECRET", "SIGNUP_LINK_KEY"):
        assert f"{name}: ${{{name}:+" in service("worker")


def test_checks_accept_placeholder_secrets(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API_KEY = settings.CONSTANT_CONTACT_PASSWORD = "only the worker has it"
    assert check_configuration() == []
    settings.OIDC_STAFF_CLAIM, settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = (
        "groups",
        "https://id.example.com",
        "page",
    )
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    settings.CONSTANT_CONTACT_LOGIN_URL = "https://id.example.com/constant-contact"
    stand_ins = re.findall(r"^ +(\w+): \$\{\w+:\+(.+)\}$", COMPOSE, re.MULTILINE)
    assert {name for name, _value in stand_ins} == {"OIDC_CLIENT_SECRET", "SIGNUP_LINK_KEY"}
    for name, value in stand_ins:
        setattr(settings, name, value)
    assert check_configuration() == []


@pytest.fixture
def signup(database: PostgreSQL) -> str:
    """Create the application's database as the container does, and return its URL."""
    server = urlsplit(database.url)
    environment = os.environ | {
        "PATH": f"{find_programs()}:{os.environ['PATH']}",
        "PGHOST": str(server.hostname),
        "PGPORT": str(server.port),
        "POSTGRES_USER": "tests",
        "POSTGRES_PASSWORD": "it's $ecret",
    }
    subprocess.run([ROOT / "deploy" / "role.sh"], env=environment, check=True)
    return f"postgres://signup@{server.hostname}:{server.port}/signup"


@pytest.mark.long
def test_the_applications_role_is_no_superuser_and_can_do_its_work(signup: str, checkout: Checkout) -> None:
    with psycopg.connect(signup) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname = 'signup'"
        ).fetchone()
    assert row == (False,) * 5
    checkout.environment |= {
        "DATABASE_URL": signup,
        "DEBUG": "true",
        "SECRET_KEY": "x" * 50,
        "SEALING_KEYS": settings.SEALING_KEYS[0],
        **{f"CONSTANT_CONTACT_{name}": "given" for name in ("API_KEY", "USERNAME", "PASSWORD")},
    }
    migrated = checkout.run("manage.py", "migrate", "-v0")
    assert migrated.returncode == 0, migrated.stderr
    checkout.environment["PATH"] = f"{find_programs()}:{os.environ['PATH']}"
    backup = str(checkout.directory / "backup")
    for command in (["seed", "3"], ["backup", backup], ["restore", backup, "--replace"]):
        done = checkout.run("manage.py", *command)
        assert done.returncode == 0, done.stderr
    assert "ALTER ROLE signup CREATEDB" in checkout.run("manage.py", "drill", "restore").stderr


def test_a_superuser_cannot_log_in_with_a_password(signup: str, database: PostgreSQL) -> None:
    with psycopg.connect(database.url) as connection:
        rows = connection.execute("SELECT rolname, rolpassword IS NULL FROM pg_authid WHERE rolcanlogin").fetchall()
    assert dict(rows) == {"tests": True, "signup": False}


def test_the_image_works_without_development_files(checkout: Checkout) -> None:
    *_whole, left_out = re.split(r"^# .*\n", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)
    assert left_out
    for name in left_out.split():
        path = checkout.directory / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    checkout.environment |= {
        "SECRET_KEY": settings.SECRET_KEY,
        "SEALING_KEYS": settings.SEALING_KEYS[0],
        "ALLOWED_HOSTS": "signup.example.com",
        **{f"CONSTANT_CONTACT_{name}": "given" for name in ("API_KEY", "USERNAME", "PASSWORD")},
    }

    for command in (["collectstatic", "--no-input"], ["migrate", "-v0"], ["check", "--deploy"], ["purge", "--days=1"]):
        done = checkout.run("manage.py", *command)
        assert done.returncode == 0, done.stderr
    offered = checkout.run("manage.py", "help").stdout.split()
    assert "provision" in offered
    assert not {"sandbox", "demo", "seed"} & set(offered)
    assert not list(checkout.directory.glob("provisioning/sandbox"))
