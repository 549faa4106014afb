"""The settings, .env.example, and the documentation agree."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from signup import dotenv
from tests.checkout import NAMES, ROOT, Checkout

EXAMPLE = (ROOT / ".env.example").read_text()
FOR_COMPOSE = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
SHOW = """
import json
from signup import settings
shown = [name for name in vars(settings) if name.isupper() and name not in settings.MISTAKES]
print(json.dumps({name: getattr(settings, name) for name in shown}, default=str))
"""


def section(document: str, title: str) -> str:
    """Return the section of a document with this title."""
    return (ROOT / "docs" / document).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_example_names_every_setting_once() -> None:
    assert sorted(re.findall(r"^#?([A-Z0-9_]+)=", EXAMPLE, re.MULTILINE)) == sorted({*NAMES, *FOR_COMPOSE})


def test_the_documentation_names_every_setting_once() -> None:
    table = re.findall(r"^\| `([A-Z0-9_]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)

    assert sorted(table) == sorted({*NAMES, *FOR_COMPOSE})


def test_the_documentation_gives_a_reason_for_every_dependency() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    table = re.findall(r"^\| ([\w-]+) \|", section("development.md", "Dependencies"), re.MULTILINE)[1:]

    assert [name.lower() for name in table] == sorted(re.split(r"[^\w-]", entry)[0] for entry in declared)


def test_every_setting_of_the_example_is_explained() -> None:
    blocks = re.findall(r"(?:^.+\n)+", EXAMPLE, re.MULTILINE)

    for line in EXAMPLE.splitlines():
        if re.match("#?[A-Z0-9_]+=", line):
            assert any(line in block and re.search("^# [A-Z]", block, re.MULTILINE) for block in blocks), line


def test_the_defaults_that_the_example_shows_are_the_defaults(checkout: Checkout) -> None:
    defaults = json.loads(checkout.run("-c", SHOW).stdout)
    (checkout.directory / ".env").write_text("\n".join(re.findall("^#([A-Z0-9_]+=.*)", EXAMPLE, re.MULTILINE)))

    assert json.loads(checkout.run("-c", SHOW).stdout) == defaults
    assert list(defaults["MISTAKES"]) == ["SECRET_KEY"]


@pytest.mark.parametrize(("scheme", "encryption"), [("smtp+tls", "EMAIL_USE_TLS"), ("smtp+ssl", "EMAIL_USE_SSL")])
def test_the_mail_server_comes_from_its_url(checkout: Checkout, scheme: str, encryption: str) -> None:
    checkout.environment["EMAIL_URL"] = f"{scheme}://anna:secret@mail.example.com:2525"

    read = json.loads(checkout.run("-c", SHOW).stdout)

    assert {name: value for name, value in read.items() if name.startswith("EMAIL_") and name != "EMAIL_URL"} == {
        "EMAIL_BACKEND": "signup.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example.com",
        "EMAIL_PORT": 2525,
        "EMAIL_HOST_USER": "anna",
        "EMAIL_HOST_PASSWORD": "secret",
        "EMAIL_USE_TLS": False,
        "EMAIL_USE_SSL": False,
        "EMAIL_FILE_PATH": "",
        "EMAIL_TIMEOUT": 10,
    } | {encryption: True}


def test_the_example_with_secrets_and_credentials_is_ready_for_production(checkout: Checkout) -> None:
    secrets = checkout.run("manage.py", "generate_secrets").stdout
    credentials = "".join(f"CONSTANT_CONTACT_{name}=given\n" for name in ("API_KEY", "USERNAME", "PASSWORD"))
    (checkout.directory / ".env").write_text(EXAMPLE + secrets + credentials)
    (checkout.directory / ".env").chmod(0o600)
    assert checkout.run("manage.py", "collectstatic", "--no-input").returncode == 0

    checked = checkout.run("manage.py", "check", "--deploy", "--fail-level=WARNING")

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "CONSTANT_CONTACT_PASSWORD", "DATABASE_URL"])
def test_a_setting_can_be_read_from_a_file(checkout: Checkout, name: str) -> None:
    value = "postgres://signup:secret@127.0.0.1/x" if name == "DATABASE_URL" else "$ecret, with a dollar in front"
    secret = checkout.directory / "secret"
    secret.write_text(f"{value}\n")
    given = json.loads(checkout.run("-c", SHOW).stdout)
    checkout.environment[f"{name}_FILE"] = str(secret)

    from_file = json.loads(checkout.run("-c", SHOW).stdout)

    assert from_file != given
    assert from_file.get(name, value) == value


def test_a_missing_file_is_reported_without_its_content(checkout: Checkout) -> None:
    checkout.environment["SECRET_KEY_FILE"] = "/nonexistent"

    checked = checkout.run("manage.py", "check")

    assert "SECRET_KEY_FILE cannot be read: No such file or directory." in checked.stderr
    assert "SECRET_KEY is missing" not in checked.stderr


MISREAD = """\
# Ours
CONSTANT_CONTACT_PASSWORD = canary
CONSTANT_CONTACT_PASSWORD= canary
  CONSTANT_CONTACT_PASSWORD=canary
canary
CONSTANT-CONTACT-PASSWORD=canary
DATABASE_URL=postgres://signup:canary/?%@127.0.0.1/x
EMAIL_URL=smtp+tls://signup:canary#@mail.example.com
"""


def test_a_line_that_would_be_misread_is_reported_without_its_value(checkout: Checkout) -> None:
    (checkout.directory / ".env").write_text(MISREAD)

    told = checkout.run("manage.py", "check").stderr

    for line in (2, 3, 4):
        assert f".env, line {line}: CONSTANT_CONTACT_PASSWORD has spaces around" in told
    for line in (5, 6):
        assert f".env, line {line}: This is not a setting." in told
    for name in ("DATABASE_URL", "EMAIL_URL"):
        assert f"{name} has a special character in its username or password: write % as %25" in told
    assert "canary" not in told


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_noticed(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes("BRAND_NAME=Café\n".encode(encoding))

    assert dotenv.read_lines(tmp_path / ".env") == ("", {".env": f".env {dotenv.NOT_UTF8}"})


def test_a_secret_in_another_encoding_is_an_error(checkout: Checkout) -> None:
    (checkout.directory / "secret").write_bytes("canary".encode("utf-16"))
    checkout.environment["SECRET_KEY_FILE"] = "secret"

    assert "SECRET_KEY is not in UTF-8." in checkout.run("manage.py", "check").stderr


def test_a_byte_order_mark_is_ignored(checkout: Checkout) -> None:
    (checkout.directory / "secret").write_text("\ufeffsigns everything\n")
    (checkout.directory / ".env").write_text("\ufeffBRAND_NAME=Alder\nSECRET_KEY_FILE=secret\n")

    read = json.loads(checkout.run("-c", SHOW).stdout)

    assert (read["BRAND_NAME"], read["SECRET_KEY"]) == ("Alder", "signs everything")
