"""The log as JSON, and the IDs of requests."""

import json
import logging
import uuid

import pytest
from django.test import Client
from pytest_django import Settings

from signup.logs import JsonFormatter, request_id
from tests.checkout import Checkout

REFERENCE = str(uuid.uuid4())


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


@pytest.mark.slow
def test_all_of_a_workers_lines_can_be_json(checkout: Checkout) -> None:
    checkout.environment |= {"LOG_FORMAT": "json", "DEBUG": "true"}
    code = "import django, logging; django.setup(); logging.getLogger('x').warning('a\\nb')"
    checkout.environment["DJANGO_SETTINGS_MODULE"] = "signup.settings"

    said = checkout.run("-c", code).stderr

    assert [json.loads(line)["message"] for line in said.splitlines()] == ["a\nb"]
