"""The Big List of Naughty Strings in every input: never a 500, and none of it runs as a script."""

import json
import os
import uuid
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from tests.signup.accounts import TYPED, account, give

pytestmark = [pytest.mark.attack, pytest.mark.django_db]

PARTS = 12
LIST = Path(__file__).parent / "node_modules" / "big-list-of-naughty-strings" / "blns.json"


@pytest.fixture
def strings(request: pytest.FixtureRequest) -> list[str]:
    """Return a part of the list. If it is not installed, skip the tests, or fail them in CI."""
    if not LIST.exists():
        message = "No list of naughty strings: where npm is, `make test-attack` installs it"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    every: list[str] = json.loads(LIST.read_text())
    assert len(every) > 400
    return every[request.param :: PARTS]


@pytest.fixture(autouse=True)
def pages(settings: Settings) -> None:
    settings.WHITENOISE_AUTOREFRESH = True
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    settings.AXES_ENABLED = False


class Live(HTMLParser):
    """Collects what a browser would run or follow on a page: scripts, event handlers, and URLs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag in {"iframe", "object", "embed", "marquee", "video", "audio"}:
            self.found.append(tag)
        own = str(given.get("src", "")).startswith(("/static/", "/admin/jsi18n/"))
        if tag == "script" and not own and given.get("type") != "application/json":
            self.found.append("script")
        self.found += [name for name in given if name.startswith("on")]
        addresses = (str(given.get(name) or "") for name in ("href", "src", "action", "formaction"))
        self.found += [each for each in addresses if each.strip().lower().startswith(("javascript:", "data:text"))]


def assert_harmless(answer: Any, where: str, string: str) -> None:
    assert answer.status_code < 500, (where, string)
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        assert not Live(answer.content.decode()).found, (where, string)


@pytest.mark.parametrize("strings", range(PARTS), indirect=True)
def test_naughty_strings_in_the_form_and_the_correction(client: Client, strings: list[str]) -> None:
    for string in strings:
        everywhere = dict.fromkeys([*TYPED, "submission", "shown", "comment", "second"], string)
        assert_harmless(client.post("/", everywhere), "form", string)
        for name in TYPED:
            assert_harmless(
                Client().post("/", TYPED | {"username": f"a-{uuid.uuid4()}"} | {name: string}), name, string
            )
        rejected = account("rejected", {"username": string, "email": string}, username=f"a-{uuid.uuid4()}")
        give(client, rejected)
        page = f"/signup/{rejected.reference}/"
        assert_harmless(client.get(page), "refusal", string)
        assert_harmless(client.post(page, {"username": string, "email": string}), "correction", string)


@pytest.mark.parametrize("strings", range(PARTS), indirect=True)
def test_naughty_strings_in_addresses_and_headers(client: Client, settings: Settings, strings: list[str]) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER, settings.SIGNUP_LINK_KEY = "alder", "k" * 40
    for string in strings:
        for path, name in (("/start/", "token"), ("/signup/open/", "token"), ("/", "next"), ("/admin/login/", "next")):
            assert_harmless(client.get(path, {name: string}), path, string)
        assert_harmless(client.post("/language/", {"language": string, "next": string}), "language", string)
        header = string.encode(errors="replace").decode("latin-1").replace("\r", "").replace("\n", "")
        headers = dict.fromkeys(("accept-language", "x-forwarded-for", "referer", "user-agent", "origin"), header)
        assert_harmless(client.get("/", headers=headers), "headers", string)
        assert_harmless(client.post("/", TYPED, headers=headers), "headers", string)


@pytest.mark.parametrize("strings", range(PARTS), indirect=True)
def test_naughty_strings_in_the_admin(client: Client, strings: list[str]) -> None:
    for string in strings:
        assert_harmless(
            Client().post("/admin/login/", {"username": string, "password": string, "code": string}), "login", string
        )
    client.force_login(User.objects.create_superuser("ana"))
    shown = account("rejected", {"username": "?"})
    for string in strings:
        for column in ("organization_name", "first_name", "last_name"):
            setattr(shown, column, string.replace("\0", "")[:50])
        shown.save()
        for path in ("", f"{shown.pk}/change/", f"{shown.pk}/correct/"):
            assert_harmless(client.get(f"/admin/provisioning/account/{path}"), path, string)
        for name in ("q", "state__exact", "show", "o", "p"):
            assert_harmless(client.get("/admin/provisioning/account/", {name: string}), name, string)
        assert_harmless(client.get("/admin/provisioning/account/export.csv", {"q": string}), "export", string)
