"""The security headers of every response, and those that keep personal pages out of caches."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from provisioning.sealed import Sealed
from tests.signup.accounts import TYPED, account

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PageOf = Callable[[Account], str]

HEADERS = {
    "Content-Security-Policy": {
        "default-src 'none'",
        "connect-src 'self'",
        "img-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    },
    "Strict-Transport-Security": {"max-age=31536000", "includeSubDomains"},
    "X-Content-Type-Options": {"nosniff"},
    "X-Frame-Options": {"DENY"},
    "Referrer-Policy": {"same-origin"},
    "Cross-Origin-Opener-Policy": {"same-origin"},
    "Cross-Origin-Resource-Policy": {"same-origin"},
}
PUBLIC = ("/static/signup.css", "/static/signup.svg")
STRANGERS = (
    "/",
    "/nowhere",
    "/healthz",
    "/readyz",
    "/signup/open/",
    "/signup/00000000-0000-4000-8000-000000000000/",
    "/signup/00000000-0000-4000-8000-000000000000/status/",
)
ADMIN = (
    "",
    "login/",
    "logout/",
    "password_change/",
    "provisioning/",
    "provisioning/account/",
    "provisioning/account/export.csv",
    "provisioning/account/export.json",
    "provisioning/account/0/change/",
    "provisioning/gateway/",
    "provisioning/worker/",
    "auth/user/",
    "auth/user/add/",
    "signup/mail/",
    "signup/brand/",
    "signup/brand/add/",
    "jsi18n/",
    "nowhere/",
)
OF_AN_ACCOUNT = ("change/", "correct/", "token/", "decline/")


@pytest.fixture(autouse=True)
def quick_pages(settings: Settings) -> None:
    """Serve static files without collecting them."""
    settings.WHITENOISE_USE_FINDERS = True


@pytest.fixture
def sent_by() -> Callable[..., dict[str, set[str]]]:
    """Return a function that visits a page by HTTPS and returns its values of HEADERS."""

    def visit(client: Client, path: str, **body: str) -> dict[str, set[str]]:
        response = client.post(path, body, secure=True) if body else client.get(path, secure=True)
        response.getvalue()
        assert "camera=()" in response.headers["Permissions-Policy"]
        return {name: set(response.headers[name].split("; ")) for name in HEADERS}

    return visit


OWN_STYLE = r"style-src 'self' 'nonce-[\w+/=]{20,}'"
"""A page's own style sheet, by a value that is new each time."""
Sent = Callable[..., dict[str, set[str]]]


@pytest.mark.parametrize("path", [*STRANGERS, *PUBLIC])
def test_strangers_get_every_header(client: Client, sent_by: Sent, path: str) -> None:
    assert sent_by(client, path) == HEADERS


@pytest.mark.parametrize("state", Account.State)
def test_customers_get_every_header(client: Client, page_of: PageOf, sent_by: Sent, state: str) -> None:
    page = page_of(account(state, {"email": "No."}))

    assert sent_by(client, page) == sent_by(client, f"{page}status/") == HEADERS


@pytest.mark.parametrize("path", ADMIN)
def test_staff_get_every_header(admin_client: Client, sent_by: Sent, path: str) -> None:
    sent, again = (sent_by(admin_client, f"/admin/{path}") for _ in range(2))
    framing = {"frame-src 'self'"} if path.startswith("signup/brand/add") else set()
    styles = {part for part in sent["Content-Security-Policy"] if re.fullmatch(OWN_STYLE, part)}  # Of a list.

    assert styles.isdisjoint(again["Content-Security-Policy"])
    without = sent["Content-Security-Policy"] - styles | ({"style-src 'self'"} if styles else set())
    assert without == HEADERS["Content-Security-Policy"] | framing
    assert sent | {"Content-Security-Policy": HEADERS["Content-Security-Policy"]} == HEADERS


@pytest.mark.parametrize("path", OF_AN_ACCOUNT)
@pytest.mark.parametrize("state", ["held", "rejected", "created"])
def test_staff_get_every_header_with_each_page_of_an_account(
    admin_client: Client, sent_by: Sent, path: str, state: str
) -> None:
    of = account(state, {"email": "No."}, oauth2_token=Sealed.of("token"))

    assert sent_by(admin_client, f"/admin/provisioning/account/{of.pk}/{path}") == HEADERS


def test_error_pages_get_every_header(client: Client, sent_by: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signup.views.form.services.submit", lambda *_: 1 / 0)
    client.raise_request_exception = False

    assert sent_by(client, "/", email="anna@") == sent_by(client, "/", **TYPED) == HEADERS
    assert sent_by(Client(enforce_csrf_checks=True), "/", **TYPED) == HEADERS
    assert sent_by(Client(enforce_csrf_checks=True), "/admin/login/", **TYPED) == HEADERS


TYPES = {
    "/": "text/html; charset=utf-8",
    "/healthz": "application/json",
    "/static/signup.css": 'text/css; charset="utf-8"',
    "/static/signup.js": 'text/javascript; charset="utf-8"',
    "/static/signup.svg": "image/svg+xml; charset=utf-8",
    "/static/admin/img/icon-yes.svg": "image/svg+xml; charset=utf-8",
}


@pytest.mark.parametrize("path", TYPES)
def test_every_text_names_its_encoding(client: Client, path: str) -> None:
    response = client.get(path, secure=True)
    response.getvalue()
    assert response.headers["Content-Type"] == TYPES[path]


@pytest.mark.parametrize("path", ["/", "/nowhere", "/signup/open/", "/legal/1/", "/nowhere.css", "/logo/none"])
def test_no_cache_keeps_a_page_with_a_visitors_csrf_token(client: Client, path: str) -> None:
    response = client.get(path)

    assert "__Host-csrftoken" in response.cookies
    assert "no-store" in response.headers["Cache-Control"]


def pages_with_personal_data(client: Client, page_of: PageOf) -> Iterator[str]:
    page = page_of(account("rejected", {"email": "No."}, oauth2_token=Sealed.of("token")))
    client.force_login(User.objects.create_superuser("dora"))
    yield from (page, f"{page}status/")
    yield from (f"/admin/{path}" for path in ADMIN if path.startswith(("provisioning", "signup", "auth")))
    yield from (f"/admin/provisioning/account/{Account.objects.get().pk}/{path}" for path in OF_AN_ACCOUNT)


def test_personal_data_is_not_cached(client: Client, page_of: PageOf) -> None:
    kept = {
        path: client.get(path).headers.get("Cache-Control", "") for path in pages_with_personal_data(client, page_of)
    }

    assert not {path: control for path, control in kept.items() if "no-store" not in control}
