"""The documented paths, headers, login and errors, in the order in which an API checks them."""

import json
import re
from typing import Any

import pytest

from provisioning.sandbox import Server
from tests.environment import CANARIES
from tests.provisioning.sandbox.partner import PATH, Partner
from tests.provisioning.values import SIGN_UP


def test_a_valid_request_returns_everything_but_the_password(sandbox: Server, partner: Partner) -> None:
    response = partner.create("anna", website="https://example.com")

    assert response.status == 201
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json
    assert re.fullmatch("[0-9]+", answer.pop("id"))
    sent = SIGN_UP | {"username": "anna", "website": "https://example.com"}
    assert answer == {name: value for name, value in sent.items() if name != "password"}
    assert list(sandbox.provider.accounts) == ["anna"]


@pytest.mark.parametrize(
    ("query", "given"),
    [("", False), ("&oauth2_token_provided=true", True), ("&oauth2_token_provided=false", False)],
)
def test_a_token_is_returned_only_on_request(partner: Partner, query: str, given: bool) -> None:
    assert ("oauth2_token" in partner.create(query=query).json) is given


def test_neither_password_nor_token_is_stored(sandbox: Server, partner: Partner) -> None:
    token = partner.create(query="&oauth2_token_provided=true").json["oauth2_token"]

    kept = repr((sandbox.provider.accounts, sandbox.provider.calls, vars(sandbox.provider)["_accounts"].__dict__))
    assert SIGN_UP["password"] not in kept
    assert token not in kept


def test_a_username_is_unique(partner: Partner) -> None:
    assert partner.create("anna").status == 201

    second = partner.create("anna", email="other@nullmailer.com")

    assert (second.status, second.refused) == (409, {"username"})


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v2/partner/accounts/?api_key=KEY", {}, 404),
        ("POST", "/?api_key=KEY", {}, 404),
        ("GET", "/v2/partner/accounts/7?api_key=KEY", {}, 404),
        ("PUT", PATH + "?api_key=KEY", {}, 405),
        ("DELETE", PATH + "?api_key=KEY", {}, 405),
        ("PATCH", PATH + "?api_key=KEY", {}, 405),
        ("HEAD", PATH + "?api_key=KEY", {}, 405),
        ("OPTIONS", PATH + "?api_key=KEY", {}, 405),
        ("POST", PATH + "?api_key=KEY", {"Accept": "*/*"}, 406),
        ("POST", PATH + "?api_key=KEY", {"Accept": "application/xml"}, 406),
        ("GET", PATH + "?api_key=KEY", {"Accept": ""}, 406),
        ("POST", PATH + "?api_key=KEY", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", PATH + "?api_key=KEY", {"Content-Type": ""}, 415),
        ("POST", PATH + "?api_key=KEY", {"Authorization": ""}, 401),
        ("POST", PATH + "?api_key=KEY", {"Authorization": "Basic cGFydG5lcjp3cm9uZw=="}, 401),
        ("GET", PATH + "?api_key=wrong", {}, 403),
        ("GET", PATH + "?api_key=", {}, 403),
        ("GET", PATH, {}, 403),
    ],
)
def test_a_request_that_violates_the_documentation_is_refused(
    sandbox: Server, partner: Partner, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    partner.headers |= headers

    response = partner.call(method, path.replace("KEY", partner.key), json.dumps(SIGN_UP).encode())

    assert response.status == status
    assert method == "HEAD" or response.keys[0]
    assert not sandbox.provider.accounts


def test_credentials_are_accepted_only_as_basic_authentication(partner: Partner) -> None:
    partner.headers["Authorization"] = partner.headers["Authorization"].replace("Basic", "Bearer")
    assert partner.page().status == 401

    partner.headers["Authorization"] = partner.headers["Authorization"].replace("Bearer", "basic")
    assert partner.page().status == 200


def test_a_request_without_a_body_needs_no_content_type(partner: Partner) -> None:
    del partner.headers["Content-Type"]

    assert partner.page().status == 200


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_accepted_in_every_spelling(partner: Partner, kind: str) -> None:
    partner.headers |= {"Content-Type": kind, "Accept": f"text/html, {kind}"}

    assert partner.create().status == 201


def test_checks_run_in_order(partner: Partner) -> None:
    right, key = partner.headers, f"?api_key={partner.key}"
    partner.headers = {"Accept": "text/html", "Content-Type": "text/html", "Authorization": "Basic x"}

    def told(method: str, path: str, *corrected: str) -> int:
        partner.headers |= {name: right[name] for name in corrected}
        return partner.call(method, path, b"[").status

    assert told("PUT", "/v1?api_key=wrong") == 403
    assert told("PUT", f"/v1{key}") == 404
    assert told("PUT", PATH + key) == 405
    assert told("POST", PATH + key) == 406
    assert told("POST", PATH + key, "Accept") == 415
    assert told("POST", PATH + key, "Content-Type") == 401
    assert told("POST", PATH + key, "Authorization") == 400


@pytest.mark.parametrize("status_and_header", [("401", "WWW-Authenticate"), ("405", "Allow")])
def test_errors_have_the_headers_that_http_requires(
    sandbox: Server, partner: Partner, status_and_header: tuple[str, str]
) -> None:
    status, header = status_and_header
    sandbox.provider.fail_next("list", status)

    assert partner.page().headers[header]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b"7", b"null", b'"anna"', b"[" * 100_000, b"1" * 5_000, "{}".encode("utf-16")]
)
def test_a_body_other_than_a_json_object_is_refused(partner: Partner, body: bytes) -> None:
    response = partner.call("POST", f"{PATH}?api_key={partner.key}", body)

    assert (response.status, response.keys) == (400, ["json.payload.invalid"])


@pytest.mark.parametrize("query", ["&oauth2_token_provided=yes", "&oauth2_token_provided=", "&oauth2_token_provided=1"])
def test_an_invalid_query_is_refused(sandbox: Server, partner: Partner, query: str) -> None:
    assert (partner.create(query=query).status, dict(sandbox.provider.accounts)) == (400, {})


def test_the_list_has_the_documented_fields_and_no_email_address(partner: Partner) -> None:
    created = partner.create("anna").json

    listed = partner.page()

    account = {"id": created["id"], "username": "anna", "status": "TRIAL", "organization_name": "Anna's Bakery"}
    assert (listed.status, listed.json) == (200, {"meta": {"pagination": {}}, "results": [account]})


@pytest.mark.parametrize(("query", "first"), [("", 50), ("&limit=1", 1), ("&limit=26", 26), ("&limit=500", 52)])
def test_pages_link_to_each_other_until_all_accounts_are_listed(partner: Partner, query: str, first: int) -> None:
    names = [f"anna{number:02}" for number in range(52)]
    for name in names:
        partner.create(name)
    page = partner.page(query).json
    assert len(page["results"]) == first
    seen: list[dict[str, Any]] = page["results"]

    while link := page["meta"]["pagination"].get("next_link"):
        assert partner.key not in link
        page = partner.call("GET", f"{link}&api_key={partner.key}").json
        assert page["results"]
        seen += page["results"]

    assert [account["username"] for account in seen] == names


def test_a_next_link_needs_the_key_again(partner: Partner) -> None:
    for name in ("anna", "bert"):
        partner.create(name)
    link = partner.page("&limit=1").json["meta"]["pagination"]["next_link"]

    assert partner.call("GET", link).status == 403


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=-1", "limit=ten", "limit=", "limit=٣", "next=", "next=x", "next=0-0"]
)
def test_a_request_for_an_impossible_page_is_refused(partner: Partner, query: str) -> None:
    response = partner.page("&" + query.replace("٣", "%D9%A3"))

    assert (response.status, response.keys) == (400, ["query.param.invalid"])


def test_secrets_are_not_logged(partner: Partner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    partner.create("anna", query="&oauth2_token_provided=true")
    partner.call("GET", f"{PATH}?api_key={partner.key}x")

    assert "POST /v2/partner/accounts → 201" in caplog.text
    for secret in (*CANARIES.values(), SIGN_UP["password"], "sandbox-"):
        assert secret not in caplog.text
