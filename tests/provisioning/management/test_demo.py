"""`make run`, except for the virtual environment that it creates."""

import contextlib
import re
import socket
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from pytest_django import Settings

from provisioning.management.commands import demo as demo_command
from provisioning.management.commands.demo import admin_login
from tests.checkout import Checkout, Program
from tests.provisioning.values import SIGN_UP

PAGE = r"Sign-up page +(http://127\.0\.0\.1:\d+)/"
LOG_IN = r"Admin login +(.+)"
SUBMIT = "import uuid; from provisioning import services; services.submit(services.prepare({!r}, uuid.uuid4()))"


@pytest.fixture
def taken() -> Iterator[list[int]]:
    """Occupy the demo's preferred ports, except those that another process already uses."""
    with contextlib.ExitStack() as stack:
        ports = []
        for port in (8000, 8008):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
        yield ports


def demo(checkout: Checkout) -> Program:
    program = checkout.start("manage.py", "demo")
    program.find("Listening at")
    program.find("worker started")
    return program


def submit(checkout: Checkout, **values: str) -> None:
    done = checkout.run("manage.py", "shell", "-v0", "-c", SUBMIT.format(SIGN_UP | values))
    assert done.returncode == 0, done.stderr


def test_it_creates_an_account_from_scratch_and_continues_after_ctrl_c(checkout: Checkout, taken: list[int]) -> None:
    first = demo(checkout)
    assert stat.S_IMODE((checkout.directory / ".env").stat().st_mode) == 0o600
    for port in taken:
        assert re.search(rf"Port {port} is in use, so \d+ is used instead.", first.said)
    with urllib.request.urlopen(first.find(PAGE)[1]) as page:
        assert page.status == 200
    submit(checkout)
    first.find("to=created")
    assert first.interrupt() == 0
    assert "worker ended" in first.said  # After a second signal, it would end before it logs that.
    assert "Traceback" not in first.said

    checkout.environment["CONSTANT_CONTACT_API"] = "v3"  # The sandbox uses the same API as the worker.
    second = demo(checkout)
    assert second.find(LOG_IN)[1] == first.find(LOG_IN)[1]
    submit(checkout, username="second-one")
    second.find("POST /v3/partner/accounts → 201")
    second.find("to=created")
    assert second.interrupt() == 0
    assert SIGN_UP["username"] in (checkout.directory / "sandbox.jsonl").read_text()


@pytest.mark.django_db
class TestAdminLogin:
    def test_is_created_and_printed_as_long_as_it_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_USERNAME", "admin")
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "first-word")
        assert [admin_login(), admin_login()] == ["admin, password first-word"] * 2
        admin = User.objects.get(username="admin", is_superuser=True)
        assert admin.check_password("first-word")

        admin.set_password("other")
        admin.save()

        assert admin_login() == "admin, with the password you set"

    def test_is_not_created_without_a_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "")
        assert admin_login().startswith("create one with")
        assert not User.objects.exists()


def test_configuration_mistakes_are_named_before_anything_starts(checkout: Checkout) -> None:
    (checkout.directory / ".env").write_text("DEBUG=perhaps\n")

    ended = checkout.run("manage.py", "demo")

    assert ended.returncode == 1
    assert "DEBUG must be true or false." in ended.stderr
    assert "SECRET_KEY is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.django_db
def test_links_lead_to_the_port_that_the_page_is_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").touch()
    settings.BASE_DIR = tmp_path
    found: list[tuple[str, str]] = []

    def run_together(*commands: list[str], environment: dict[str, str]) -> bool:
        [serve] = [command for command in commands if command[2] == "serve"]
        found.append((environment["CSRF_TRUSTED_ORIGINS"], f"http://{serve[-1]}"))
        return True

    monkeypatch.delenv("CSRF_TRUSTED_ORIGINS", raising=False)
    monkeypatch.setattr(demo_command, "run_together", run_together)

    call_command("demo")

    [(trusted, listened_on)] = found
    assert trusted == listened_on


@pytest.mark.django_db
def test_with_real_credentials_the_sandbox_does_not_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").touch()
    settings.BASE_DIR = tmp_path
    started: list[list[str]] = []

    def run_together(*commands: list[str], environment: dict[str, str]) -> bool:
        started.extend(commands)
        return True

    monkeypatch.setattr(demo_command, "run_together", run_together)

    call_command("demo")

    assert [command[2] for command in started] == ["serve"]
    said = capsys.readouterr().out
    assert "https://api.constantcontact.com\n" in said
    assert "sandbox" not in said
