"""The log in both formats, and the IDs of requests."""

import json
import logging
import re
import sys
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from django.middleware.csrf import REASON_BAD_REFERER
from django.test import Client
from pytest_django import Settings

from signup.logs import BadRequestFilter, JsonFormatter, UtcFormatter, request_id
from tests.checkout import Checkout
from tests.patience import PATIENCE

REFERENCE = str(uuid.uuid4())
TEXT = UtcFormatter("{asctime} {levelname} {name} {message}", style="{")


def formatted(message: str, *arguments: object, **extra: object) -> dict[str, object]:
    record = logging.getLogger("signup").makeRecord(
        "signup", logging.INFO, "", 0, message, arguments, None, extra=extra
    )
    read: dict[str, object] = json.loads(JsonFormatter().format(record))
    return read


def test_a_line_is_an_object_with_the_reference_of_its_account() -> None:
    line = formatted("account moved reference=%s to=%s", REFERENCE, "created")

    assert set(line) == {"time", "level", "logger", "message", "reference"}
    assert (line["level"], line["logger"], line["reference"]) == ("INFO", "signup", REFERENCE)
    assert line["message"] == f"account moved reference={REFERENCE} to=created"


def test_a_line_about_a_request_has_its_id_and_nothing_that_was_sent() -> None:
    token = request_id.set("abc")
    try:
        line = formatted("Bad Request", request="canary form", status_code=400)
    finally:
        request_id.reset(token)

    assert line["request_id"] == "abc"
    assert "canary" not in str(line)


def test_every_response_has_an_id_which_only_a_trusted_proxy_may_give(client: Client, settings: Settings) -> None:
    assert len(client.get("/healthz")["X-Request-ID"]) == 32
    assert client.get("/healthz", headers={"x-request-id": "theirs"})["X-Request-ID"] != "theirs"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert client.get("/healthz", headers={"x-request-id": "theirs"})["X-Request-ID"] == "theirs"
    assert client.get("/healthz", headers={"x-request-id": "no id"})["X-Request-ID"] != "no id"


def test_lines_have_utc_times_whatever_the_time_zone_of_pages(settings: Settings) -> None:
    settings.TIME_ZONE = "America/New_York"
    noon = datetime(2026, 7, 14, 12, 30, tzinfo=UTC)
    assert settings.LOGGING["formatters"]["text"]["class"] == f"{UtcFormatter.__module__}.UtcFormatter"
    record = logging.makeLogRecord({"created": noon.timestamp(), "msg": "x"})
    assert TEXT.format(record).startswith("2026-07-14 12:30:00")


def test_djangos_line_about_a_refused_form_has_no_query() -> None:
    reason = REASON_BAD_REFERER % "https://other.example/a?token=canary"
    record = logging.makeLogRecord({"name": "django.security.csrf", "msg": "Forbidden (%s): %s", "args": (reason, "/")})

    BadRequestFilter().filter(record)

    assert record.getMessage() == "Forbidden (Referer checking failed - https://other.example/a): /"


FORGED = "x\n2026-11-28 05:00:00,000 INFO provisioning.services FORGED"


@pytest.mark.parametrize("path", [f"?_to_field={quote(FORGED)}", f"?{quote(FORGED)}__x=1", "?_to_field=%1b[31m%0dx"])
def test_no_request_forges_a_line(admin_client: Client, caplog: pytest.LogCaptureFixture, path: str) -> None:
    admin_client.get(f"/admin/provisioning/account/{path}")

    lines = "\n".join(TEXT.format(record) for record in caplog.records)
    assert not re.search(r"^(?!\s)(?!\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ django)", lines, re.MULTILINE)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", lines)


@pytest.mark.parametrize("sign", ["\r", "\x1b[31m", "\x85", "\u2028", "\x00", "\x7f"])
def test_control_characters_are_escaped(sign: str) -> None:
    assert sign not in TEXT.format(logging.makeLogRecord({"msg": f"a{sign}b", "levelname": "INFO", "name": "signup"}))


def test_further_lines_of_messages_and_tracebacks_are_indented() -> None:
    try:
        raise ValueError(f"canary{FORGED}")
    except ValueError:
        error = sys.exc_info()
    record = logging.makeLogRecord({"msg": "first\nsecond", "levelname": "INFO", "name": "signup", "exc_info": error})

    first, *further = TEXT.format(record).split("\n")

    assert first.endswith(" first")
    assert [line.strip() for line in further[:2]] == ["second", "Traceback (most recent call last):"]
    assert all(line.startswith("    ") for line in further)


@pytest.mark.slow
@pytest.mark.parametrize(
    "is_ready", [True, pytest.param(False, marks=pytest.mark.long)], ids=["ready", "with mistakes"]
)
@pytest.mark.parametrize(
    "command",
    [["manage.py", "serve", "--bind=127.0.0.1:0"], pytest.param(["manage.py", "provision"], marks=pytest.mark.long)],
)
def test_every_line_of_a_start_is_json(checkout: Checkout, command: list[str], is_ready: bool) -> None:
    checkout.environment |= {"LOG_FORMAT": "json", "DEBUG": "true"}
    if is_ready:
        (checkout.directory / ".env").write_text(checkout.run("manage.py", "generate_secrets").stdout)
        checkout.environment |= {f"CONSTANT_CONTACT_{name}": "given" for name in ("API_KEY", "USERNAME", "PASSWORD")}
        assert checkout.run("manage.py", "migrate", "-v0").returncode == 0

    started = checkout.start(*command)
    if is_ready:
        started.find("worker started")
        started.process.terminate()

    assert (started.process.wait(PATIENCE) == 0) is is_ready
    messages = [json.loads(line)["message"] for line in started.said.splitlines()]
    assert any("System check identified" in message for message in messages)


@pytest.mark.slow
def test_all_of_a_workers_lines_can_be_json(checkout: Checkout) -> None:
    checkout.environment |= {"LOG_FORMAT": "json", "DEBUG": "true"}
    code = "import django, logging; django.setup(); logging.getLogger('x').warning('a\\nb')"
    checkout.environment["DJANGO_SETTINGS_MODULE"] = "signup.settings"

    said = checkout.run("-c", code).stderr

    assert [json.loads(line)["message"] for line in said.splitlines()] == ["a\nb"]
