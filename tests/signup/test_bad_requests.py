"""Requests that no browser sends get our own error page with our own headers, never a bare error."""

import io
import logging
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from signup.charsets import Request

pytestmark = [pytest.mark.django_db, pytest.mark.once]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
CHARSETS = ("utf-16", "utf-7", "idna", "punycode", "hex", "unicode_escape", "undefined", "nonsense")
WITH_CHARSET = ("a*=idna''%ff", "a*=nonsense''a", "charset*=nonsense''a", "a*=utf-8''a; a*0=a")
"""Parameters in an encoding of their own, one of them also in parts (RFC 2231)."""
BODIES = {
    "charset": [(f"{FORM}; charset={name}", b"a=1") for name in CHARSETS],
    "charset of parts": [
        (f"{MULTIPART}; {parameter}", b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--")
        for parameter in (*(f"charset={name}" for name in CHARSETS), *WITH_CHARSET)
    ],
    "fields": [(FORM, b"&".join(b"a=1" for _ in range(1001)))],
    "size": [(FORM, b"a=" + b"%C3%A9" * 34_000)],
    "multipart": [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=\xe9", b""),
        (MULTIPART, b"--b\r\nContent-Disposition: form-data; name*=utf-8''a; name*0=a\r\n\r\n1\r\n--b--"),
        (MULTIPART, b"--b\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n"),
        (MULTIPART, b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" * 1001),
        (MULTIPART, b'--b\r\nContent-Disposition: form-data; name=a; filename="a"\r\n\r\n1\r\n' * 101),
    ],
}


@pytest.fixture(autouse=True)
def requests_as_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.test.client.WSGIRequest", Request)


@pytest.fixture(autouse=True)
def logged() -> Iterator[None]:
    """Check that a bad request, which is not our bug, logs no traceback and only a line or two."""
    (console,) = (each for each in logging.getLogger("django").handlers if type(each) is logging.StreamHandler)
    seen = io.StringIO()
    usual = console.setStream(seen)
    yield
    console.setStream(usual)
    assert "Traceback" not in seen.getvalue()
    assert seen.getvalue().count("\n") - seen.getvalue().count(" INFO ") <= 2


@pytest.mark.once
@pytest.mark.parametrize("path", ["/", "/language/", "/admin/login/", "/nowhere"])
@pytest.mark.parametrize("with_cookie", [True, False])
@pytest.mark.parametrize(("content_type", "body"), [each for kind in BODIES.values() for each in kind])
def test_an_unreadable_body_is_refused_with_our_page(
    path: str, with_cookie: bool, content_type: str, body: bytes
) -> None:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    if with_cookie:
        client.get("/")

    answer = client.generic("POST", path, body, content_type=content_type)

    assert answer.status_code in {400, 403, 404}
    assert 'rel="stylesheet"' in answer.content.decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/nowhere", "/admin/login/", "/signup/open/", "/api/v1/signups"])
@pytest.mark.parametrize("parameter", [*(f"charset={name}" for name in CHARSETS), *WITH_CHARSET])
def test_a_query_is_in_utf8_whatever_the_request_says(path: str, parameter: str) -> None:
    query = {"next": "é", "token": "\\x00 +AAA-"}
    plain, odd = (
        Client(raise_request_exception=False).get(path, query, headers={"content-type": f"text/plain{parameter}"})
        for parameter in ("", f"; {parameter}")
    )

    assert odd.status_code == plain.status_code < 500
    assert odd.wsgi_request.GET.dict() == query


def test_a_query_with_too_many_fields_is_refused_with_our_page() -> None:
    answer = Client().get("/?" + "a&" * 1001, headers={"content-type": "text/plain; charset=utf-8"})

    assert answer.status_code == 400
    assert 'rel="stylesheet"' in answer.content.decode()


@pytest.mark.parametrize("host", ["evil.example.net", "a b", "", "[::1", "localhost:x", "é.example.com"])
def test_an_unknown_host_name_is_a_400_with_our_page(host: str) -> None:
    answer = Client(raise_request_exception=False).get("/", headers={"host": host})

    assert answer.status_code == 400
    assert 'rel="stylesheet"' in answer.content.decode()
    assert host not in answer.content.decode() or not host


def test_a_host_name_that_is_too_long_is_a_400_with_our_page(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]

    answer = Client(raise_request_exception=False).get("/", headers={"host": f"{'a.' * 100}example.com"})

    assert answer.status_code == 400
    assert 'rel="stylesheet"' in answer.content.decode()


NUL = {
    "session": ("/admin/login/", {"cookie": '__Host-sessionid="aaaaaaaa\\000"'}),
    "language": ("/", {"cookie": '__Host-language="\\000"'}),
    "query": ("/signup/open/?token=%00", {}),
    "name in a query": ("/?%00=1", {}),
    "path": ("/signup/%00/", {}),
}


@pytest.mark.parametrize(("path", "headers"), NUL.values(), ids=NUL)
def test_a_character_that_databases_refuse_is_a_400_with_our_page(path: str, headers: dict[str, str]) -> None:
    answer = Client(raise_request_exception=False).get(path, headers=headers)

    assert answer.status_code == 400
    assert 'rel="stylesheet"' in answer.content.decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/admin/login/"])
def test_a_cookie_that_takes_long_to_read_is_not_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    few, many = ('ours=1; theirs="' + "\\" * number + '"' for number in (500, 501))
    assert client.get(path, headers={"cookie": few}).status_code == 200
    monkeypatch.setattr("django.http.cookie.cookies._unquote", None)
    answer = client.get(path, headers={"cookie": many})

    assert answer.status_code == 400
    assert 'rel="stylesheet"' in answer.content.decode()


LISTS = [
    "/admin/autocomplete/?app_label=auth&model_name=user&field_name=groups&term=%00",
    *(
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/?{name}=%00"
        for model, of in admin.site._registry.items()
        for name in ("q", *(each for each in of.list_filter if isinstance(each, str)))
    ),
    *(f"/admin/provisioning/account/?{name}=%00" for name in ("show", "state__exact", "host", "country_code")),
]


@pytest.mark.parametrize("path", LISTS)
def test_a_character_that_databases_refuse_is_a_400_in_the_admin_too(path: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ana"))

    assert client.get(path).status_code == 400


@pytest.mark.parametrize(
    "refused", ["//evil.example.net/", "https://evil.example.net/", "javascript:1", "\0", "/\\evil"]
)
def test_after_login_an_unsafe_next_address_leads_to_the_overview(client: Client, refused: str) -> None:
    User.objects.create_user("ana", password="correct horse", is_staff=True)

    answer = client.post("/admin/login/", {"username": "ana", "password": "correct horse", "next": refused})

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"


def test_staff_without_permission_see_our_page_too(client: Client) -> None:
    client.force_login(User.objects.create_user("ana", is_staff=True))

    answer = client.get("/admin/auth/user/")

    assert answer.status_code == 403
    assert 'rel="stylesheet"' in answer.content.decode()
