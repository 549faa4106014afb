"""What the doctor sees at the public address. A real nginx is in tests/deploy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from pytest_django import Settings

from signup.doctor import Level, public_address

pytestmark = pytest.mark.django_db


def test_strangers_cannot_see_how_their_request_arrives(client: Client) -> None:
    for token in ("", "forged", signing.dumps("reflect", salt="another")):
        assert client.post(public_address.PATH, headers={"X-Doctor": token}).status_code == 404


@pytest.mark.filterwarnings("ignore:No directory at")  # It needs no static files.
def test_a_proxy_that_passes_everything_on_is_reported(settings: Settings, live_server: Any) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    with quick_pauses():
        texts = [finding.text for finding in public_address.check(live_server.url)]

    assert texts == [
        "It passes on a visitor's own X-Forwarded-For.",
        "It doesn't buffer requests.",
        "It doesn't buffer responses.",
    ]


@contextmanager
def quick_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public_address, "PAUSE", 0.3)
        yield


@pytest.mark.parametrize(
    ("status", "told"),
    [(301, "redirect to themselves"), (400, "refuses the host name"), (404, "answers 404"), (502, "no answer")],
)
def test_an_address_that_is_not_the_pages_is_a_failure(monkeypatch: pytest.MonkeyPatch, status: int, told: str) -> None:
    monkeypatch.setattr(public_address, "_ask", lambda url: (status, b""))

    (finding,) = public_address.check("https://signup.example.com")

    assert finding.level == Level.FAILURE
    assert told in finding.text


def test_a_proxy_that_hides_host_address_and_https_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"slow": False, "host": "127.0.0.1:8000", "visitor": "10.0.0.7", "has_address": False, "is_secure": False}
    seen |= {"seconds": 0}
    monkeypatch.setattr(public_address, "_ask", lambda *_, **__: (200, json.dumps(seen).encode()))

    assert [finding.text for finding in public_address.check("https://signup.example.com")] == [
        "It doesn't pass Host on.",
        "It doesn't set X-Forwarded-For.",
        "The page can't tell that visitors use HTTPS.",
    ]


def test_a_misspelled_name_is_not_said_to_be_out_of_reach() -> None:
    (finding,) = public_address.check("https://singup.invalid")

    assert finding.text == "singup.invalid has no address."
    assert "ALLOWED_HOSTS" in finding.fix
