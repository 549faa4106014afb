"""Every error under /api/ is a problem document that says what is wrong, never a page."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Account, Gateway
from signup import burst, visits
from signup.api import bodies, listing
from signup.api.problems import CODES
from tests.signup.api.partner import BODY, SIGNUPS, Partner, errors

pytestmark = pytest.mark.django_db

KEY = {"Idempotency-Key": "order-1"}


def check(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that this is a problem document with everything that RFC 9457 names, and return it."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["detail"]
    assert CODES[code][0] == status
    return document


BAD = {
    "nothing": b"",
    "no JSON": b"username=anna",
    "cut off": b'{"username": "canary-cut',
    "not UTF-8": b'{"username": "\xff"}',
    "a list": b"[]",
    "a text": b'"canary"',
    "a name twice": b'{"username": "a", "username": "canary"}',
    "a name twice, nested": b'{"username": {"a": 1, "a": 2}}',
    "not a number": b'{"username": NaN}',
    "infinity": b'{"username": -Infinity}',
    "a huge number": b'{"username": ' + b"9" * 5000 + b"}",
    "a huge negative number": b'{"username": -' + b"9" * 5000 + b"}",
    "a huge fraction": b'{"username": 1e999}',
    "deep nesting": b'{"username": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "nesting": b'{"username": ' + b'{"a":' * 400 + b'"\\u0000"' + b"}" * 400 + b"}",
    "NUL": b'{"username": "canary\\u0000"}',
    "NUL in a name": b'{"user\\u0000name": "canary"}',
    "NUL, nested": b'{"username": [[{"a": {"canary\\u0000": 1}}]]}',
    "NUL, raw": b'{"username": "canary\x00"}',
    "half a surrogate pair": b'{"username": "canary\\ud800"}',
    "the other half, in a name": b'{"canary\\udc00": 1}',
    "trailing text": b"{} canary",
    "byte order mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_body_that_is_no_plain_json_object_is_refused(partner: Partner, body: bytes) -> None:
    answer = partner.send(SIGNUPS, body, **KEY)

    document = check(answer, 400, "bad_json")
    assert "canary" not in str(document)
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("nothing", "It is empty."),
        ("a list", "It must be an object"),
        ("a name twice, nested", "It has the same name twice in one object."),
        ("not a number", "It has NaN or Infinity, which is not JSON."),
        ("infinity", "It has NaN or Infinity, which is not JSON."),
        ("a huge number", "It has a number with too many digits."),
        ("a huge fraction", "It has a number that is too large."),
        ("deep nesting", "It is nested too deeply."),
        ("nesting", "It is nested too deeply."),
        ("NUL", "It has a NUL character."),
        ("half a surrogate pair", "It has half of a surrogate pair."),
    ],
)
def test_a_refused_body_is_told_what_is_wrong_with_it(partner: Partner, kind: str, why: str) -> None:
    assert why in check(partner.send(SIGNUPS, BAD[kind], **KEY), 400, "bad_json")["detail"]


def test_an_unknown_property_is_named(partner: Partner) -> None:
    answer = partner.send(SIGNUPS, BODY | {"account_id": "7", "usrname": "x"}, **KEY)

    check(answer, 400, "unknown_property")
    assert errors(answer) == {"account_id": "unknown_property", "usrname": "unknown_property"}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_another_type_of_body_is_refused(partner: Partner, kind: str) -> None:
    check(partner.send(SIGNUPS, BODY, content_type=kind, **KEY), 415, "content_type")


def test_a_body_may_name_its_charset(partner: Partner) -> None:
    assert partner.send(SIGNUPS, BODY, content_type="application/json; charset=UTF-8", **KEY).status_code == 202


def test_a_compressed_body_is_refused(partner: Partner) -> None:
    headers = KEY | {"Content-Encoding": "gzip"}

    check(partner.send(SIGNUPS, gzip.compress(b"{}"), **headers), 415, "content_type")


@pytest.mark.parametrize("size", [bodies.MAX_BYTES, 3_000_000])
def test_a_large_body_is_refused(partner: Partner, size: int) -> None:
    answer = partner.send(SIGNUPS, b'{"username": "' + b"a" * size + b'"}', **KEY)

    assert check(answer, 413, "too_large")["most_bytes"] == bodies.MAX_BYTES


def test_a_body_without_a_length_is_refused(partner: Partner) -> None:
    headers = partner.headers | KEY | {"Transfer-Encoding": "chunked"}

    check(partner.client.generic("POST", SIGNUPS, b"", headers=headers), 411, "length_required")


@pytest.mark.once
@pytest.mark.parametrize("path", ["/api/", "/api/v1", "/api/v1/", f"{SIGNUPS}/", f"{SIGNUPS}/7", "/api/v2/signups"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("debug", [True, False])
def test_an_unknown_address_is_a_404(settings: Settings, path: str, method: str, debug: bool) -> None:
    settings.DEBUG = debug

    check(Client(enforce_csrf_checks=True).generic(method, path), 404, "not_found")


def test_an_unknown_sign_up_is_a_404(partner: Partner) -> None:
    check(partner.get(f"{SIGNUPS}/00000000-0000-4000-8000-000000000000"), 404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_a_405_with_those_that_work(partner: Partner, method: str) -> None:
    answer = partner.client.generic(method, SIGNUPS, headers=partner.headers)

    check(answer, 405, "method")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_head_works_like_get(partner: Partner) -> None:
    answer = partner.client.head(SIGNUPS, headers=partner.headers)

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", [SIGNUPS, "/api/nowhere"])
def test_an_unknown_host_or_a_nul_is_a_problem_too(path: str) -> None:
    client = Client(raise_request_exception=False)

    check(client.get(path, headers={"host": "evil.example.net"}), 400, "bad_request")
    check(client.get(f"{path}?state=%00"), 400, "bad_request")
    check(client.get(path, headers={"host": f"{'a' * 200}.example.com"}), 400, "bad_request")


@pytest.mark.parametrize("debug", [True, False])
def test_a_mistake_of_ours_is_a_problem_without_details(
    partner: Partner, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = debug

    def fail(*_: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr(listing, "page", fail)

    document = check(partner.get(SIGNUPS), 500, "server_error")

    assert "canary" not in str(document)
    assert "KeyError" in caplog.text


def test_without_a_database_the_caller_is_told_when_to_come_again(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(listing, "page", fail)

    answer = partner.get(SIGNUPS)

    check(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "30"


def test_a_limit_says_when_to_come_again(partner: Partner, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    answers = [partner.sign_up(username=f"anna.number-{number}") for number in range(11)]

    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    check(answers[10], 429, "limit")
    assert errors(answers[10]) == {None: "limit"}
    assert int(answers[10].headers["Retry-After"]) > 0
    assert Account.objects.count() == 10


def test_an_unusual_number_of_sign_ups_by_one_key_is_held_for_staff(
    partner: Partner, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ABUSE_PROTECTION = True
    monkeypatch.setattr(burst, "NEVER_ABNORMAL", 12)
    monkeypatch.setattr(visits, "CACHE_SECONDS", 0.0)

    answers = [partner.sign_up(username=f"anna.{number}", email=f"anna@{number}.example.com") for number in range(14)]

    assert [answer.json()["state"] for answer in answers] == ["queued"] * 12 + ["held"] * 2
    assert {answer.status_code for answer in answers} == {202}


def test_what_was_sent_before_is_answered_even_at_the_limit(partner: Partner, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    for number in range(10):
        partner.sign_up(f"order-{number}", username=f"anna.number-{number}")

    assert partner.sign_up("order-1", username="anna.number-1").status_code == 202


def test_the_last_share_of_the_days_quota_is_for_customers_on_the_page(partner: Partner, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    partner.sign_up("order-1")
    Gateway.objects.update_or_create(pk=1, defaults={"day": gateway.now().date(), "calls": 8000})

    answer = partner.sign_up("order-2", username="another.anna")

    check(answer, 503, "quota")
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert partner.sign_up("order-1").status_code == 202


def test_a_stopped_gateway_refuses_nobody(partner: Partner) -> None:
    gateway.stop("The credentials are wrong.")

    assert partner.sign_up().status_code == 202


def test_a_query_with_too_many_parameters_is_a_bad_request(partner: Partner) -> None:
    answer = partner.client.get(f"{SIGNUPS}?{'a&' * 1100}", headers=partner.headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
