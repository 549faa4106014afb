"""`make run`, except for the virtual environment that it creates."""

import contextlib
import fcntl
import re
import socket
import stat
import urllib.request
from collections.abc import Iterator

import pytest

from tests.checkout import Checkout, Program
from tests.provisioning.values import SIGN_UP

PAGE = r"Sign-up page +(http://127\.0\.0\.1:\d+)/"
LOG_IN = r"Admin login +(.+)"
SUBMIT = f"import uuid; from provisioning import services; services.submit(services.prepare({SIGN_UP!r}, uuid.uuid4()))"
ADMIN = "from django.contrib.auth.models import User; admin = User.objects.get(username='admin', is_superuser=True)"


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run one at a time, even across pytest's processes: two that start at once may choose the same free port."""
    with (tmp_path_factory.getbasetemp().parent / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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


def shell(checkout: Checkout, code: str) -> str:
    done = checkout.run("manage.py", "shell", "-v0", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_creates_an_account_from_scratch_and_continues_after_ctrl_c(checkout: Checkout, taken: list[int]) -> None:
    first = demo(checkout)
    assert stat.S_IMODE((checkout.directory / ".env").stat().st_mode) == 0o600
    for port in taken:
        assert re.search(rf"Port {port} is in use, so \d+ is used instead.", first.said)
    with urllib.request.urlopen(first.find(PAGE)[1]) as page:
        assert page.status == 200
    shell(checkout, SUBMIT)
    first.find("to=created")
    assert first.interrupt() == 0
    assert "worker ended" in first.said  # After a second signal, it would end before it logs that.
    assert "Traceback" not in first.said

    second = demo(checkout)
    assert second.find(LOG_IN)[1] == first.find(LOG_IN)[1]
    assert second.interrupt() == 0
    assert SIGN_UP["username"] in (checkout.directory / "sandbox.jsonl").read_text()


def test_with_v3_the_sandbox_uses_it_too(checkout: Checkout) -> None:
    checkout.environment["CONSTANT_CONTACT_API"] = "v3"
    program = demo(checkout)
    shell(checkout, SUBMIT)

    program.find("POST /v3/partner/accounts → 201")
    program.find("to=created")


def test_it_prints_the_admin_login_only_while_it_works(checkout: Checkout) -> None:
    program = demo(checkout)
    password = program.find("admin, password (.+)")[1]
    assert shell(checkout, f"{ADMIN}; print(admin.check_password({password!r}))") == "True\n"
    program.interrupt()

    shell(checkout, f"{ADMIN}; admin.set_password('other'); admin.save()")

    assert demo(checkout).find(LOG_IN)[1] == "admin, with the password you set"


def test_configuration_mistakes_are_named_before_anything_starts(checkout: Checkout) -> None:
    (checkout.directory / ".env").write_text("DEBUG=perhaps\n")

    ended = checkout.run("manage.py", "demo")

    assert ended.returncode == 1
    assert "DEBUG must be true or false." in ended.stderr
    assert "SECRET_KEY is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_with_real_credentials_the_sandbox_does_not_run(checkout: Checkout) -> None:
    secrets = checkout.run("manage.py", "generate_secrets").stdout
    (checkout.directory / ".env").write_text(
        f"DEBUG=true\n{secrets}CONSTANT_CONTACT_API_KEY=key\nCONSTANT_CONTACT_USERNAME=us\nCONSTANT_CONTACT_PASSWORD=ours\n"
    )

    program = demo(checkout)

    assert "https://api.constantcontact.com\n" in program.said
    assert "sandbox" not in program.said
    assert program.find(LOG_IN)[1].startswith("create one with")
