"""v3's tokens, paths, headers and errors, in the order in which an API checks them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from provisioning.sandbox import Server
from tests.environment import CANARIES
from tests.provisioning.sandbox.partner import PATH, TOKEN_PATH, Partner, Response, V3Partner, provider
from tests.provisioning.sandbox.partner import V3_PATH as ACCOUNTS
from tests.provisioning.values import SIGN_UP

RIGHT = {
    "login_name": "anna-jones",
    "password": "correct-horse",
    "organization_name": "Anna's Bakery",
    "first_name": "Anna",
    "last_name": "Jones",
    "contact_email": "anna@nullmailer.com",
    "contact_phone": "555-555-5555",
    "country_code": "US",
    "state_code": "MA",
}


@pytest.fixture(autouse=True)
def _v3(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"


def send(partner: V3Partner, **changes: Any) -> Response:
    return partner.call("POST", ACCOUNTS, json.dumps(RIGHT | changes).encode())


def test_a_valid_request_creates_an_account_and_returns_its_id(sandbox: Server, partner: V3Partner) -> None:
    response = send(partner)

    assert (response.status, response.headers["Content-Type"]) == (201, "application/json")
    account = sandbox.provider.accounts["anna-jones"]
    assert response.json.keys() == {"encoded_account_id", "provision_uuid"}
    assert response.json["encoded_account_id"] == account.id
    assert account.properties == {name: value for name, value in SIGN_UP.items() if name != "password"}


@pytest.mark.parametrize(
    "name", ["email", "phone", "username", "single_billing", "idp_provider", "idp_provider_id", "colour"]
)
def test_v2_names_of_renamed_properties_are_refused(partner: V3Partner, name: str) -> None:
    response = send(partner, **{name: "x"})

    assert (response.status, response.keys) == (400, ["json.field.invalid"])
    assert response.json[0]["error_message"].startswith(f"#/{name}: ")


def test_errors_name_properties_as_in_v3(partner: V3Partner) -> None:
    response = send(partner, contact_email="anna", contact_phone="1", login_name="anna", enable_single_billing="yes")

    pointed_at = [error["error_message"].partition(":")[0] for error in response.json]
    assert set(pointed_at) == {"#/contact_email", "#/contact_phone", "#/login_name", "#/enable_single_billing"}


@pytest.mark.parametrize("state", [None, "BY", " "])
def test_the_state_is_required_and_blank_outside_us_and_canada(partner: V3Partner, state: str | None) -> None:
    abroad = {name: value for name, value in RIGHT.items() if name != "state_code"} | {"country_code": "DE"}
    sent = abroad if state is None else abroad | {"state_code": state}
    assert partner.call("POST", ACCOUNTS, json.dumps(sent).encode()).refused == {"state_code"}
    assert partner.call("POST", ACCOUNTS, json.dumps(abroad | {"state_code": ""}).encode()).status == 201


def test_properties_that_the_product_does_not_use_are_accepted(partner: V3Partner) -> None:
    assert send(partner, organization_phone="12345", time_zone_id="US/Eastern").status == 201
    refused = send(partner, login_name="another", organization_phone="1234", time_zone_id=7)
    assert (refused.status, refused.refused) == (400, {"organization_phone", "time_zone_id"})


@pytest.mark.parametrize("accept", ["*/*", "application/*;q=0.8", "text/html, application/json", ""])
def test_every_accept_header_that_covers_json_is_accepted(partner: V3Partner, accept: str) -> None:
    partner.headers["Accept"] = accept
    assert send(partner).status == 201


def test_a_login_name_is_unique(partner: V3Partner) -> None:
    assert send(partner).status == 201

    second = send(partner, login_name="Anna-Jones")

    assert (second.status, second.refused) == (409, {"username"})


def test_a_token_is_issued_for_the_partners_credentials(partner: V3Partner) -> None:
    given = partner.log_in()

    assert (given.status, given.headers["Cache-Control"]) == (200, "no-store")
    assert {name: given.json[name] for name in ("token_type", "expires_in")} == {
        "token_type": "Bearer",
        "expires_in": 3600,
    }
    assert given.json["access_token"] != partner.log_in().json["access_token"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b"grant_type=client_credentials", {"Authorization": ""}, 401, "invalid_client"),
        (b"grant_type=client_credentials", {"Authorization": "Basic cGFydG5lcjp3cm9uZw=="}, 401, "invalid_client"),
        (b"grant_type=password", {}, 400, "unsupported_grant_type"),
        (b"grant_type=client_credentials&grant_type=password", {}, 400, "unsupported_grant_type"),
        (b"", {}, 400, "invalid_request"),
        (b"\xff", {}, 400, "invalid_request"),
        (b'{"grant_type": "client_credentials"}', {"Content-Type": "application/json"}, 400, "invalid_request"),
        (b"grant_type=client_credentials", {"Content-Type": "text/plain"}, 400, "invalid_request"),
    ],
)
def test_no_token_is_issued_for_an_invalid_request(
    partner: V3Partner, body: bytes, headers: dict[str, str], status: int, error: str
) -> None:
    response = partner.log_in(body, **headers)

    assert (response.status, response.json) == (status, {"error": error})


def test_tokens_are_issued_for_post_only(partner: V3Partner) -> None:
    assert partner.call("GET", TOKEN_PATH).status == 405


def test_a_token_expires_after_an_hour(partner: V3Partner, forward: Callable[[float], None]) -> None:
    forward(3590)
    assert partner.page().status == 200

    forward(3601)

    assert partner.page().status == 401


def test_a_token_can_expire_early(sandbox: Server, partner: V3Partner) -> None:
    sandbox.provider.fail_next("create", "token-end")

    assert [send(partner).status, send(partner).status] == [401, 401]
    assert not sandbox.provider.accounts
    partner.headers["Authorization"] = f"Bearer {partner.log_in().json['access_token']}"
    assert send(partner).status == 201


def test_a_token_from_another_provider_is_invalid(partner: V3Partner) -> None:
    with Server(provider()) as other, V3Partner(other.url) as stranger:
        stranger.headers["Authorization"] = partner.headers["Authorization"]
        assert stranger.page().status == 401


def test_token_requests_count_toward_no_limit() -> None:
    with Server(provider(quota=1, rate=1)) as server, V3Partner(server.url) as partner:
        assert [partner.log_in().status for _ in range(3)] == [200] * 3
        assert partner.page().status == 200
        assert (len(server.provider.calls), len(server.provider.token_calls)) == (1, 4)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", ACCOUNTS + "/", {}, 404),
        ("POST", PATH, {}, 404),
        ("GET", ACCOUNTS + "/7", {}, 404),
        ("PUT", ACCOUNTS, {}, 405),
        ("DELETE", ACCOUNTS, {}, 405),
        ("HEAD", ACCOUNTS, {}, 405),
        ("TRACE", ACCOUNTS, {}, 405),
        ("PURGE", ACCOUNTS, {}, 405),
        ("POST", ACCOUNTS, {"Accept": "application/xml"}, 406),
        ("POST", ACCOUNTS, {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", ACCOUNTS, {"Authorization": ""}, 401),
        ("POST", ACCOUNTS, {"Authorization": "Bearer x"}, 401),
        ("POST", ACCOUNTS, {"Authorization": "Bearer \xe9"}, 401),
        ("POST", ACCOUNTS, {"x-api-key": "wrong"}, 401),
        ("GET", ACCOUNTS + "?api_key=canary-api-key", {"x-api-key": ""}, 401),
    ],
)
def test_a_request_that_violates_the_contract_is_refused(
    sandbox: Server, partner: V3Partner, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    partner.headers |= headers

    response = partner.call(method, path, json.dumps(RIGHT).encode())

    assert response.status == status
    assert method == "HEAD" or response.keys[0]
    assert not sandbox.provider.accounts


def test_the_partners_own_credentials_are_not_a_token(partner: V3Partner) -> None:
    partner.headers["Authorization"] = partner.basic

    assert partner.page().status == 401


def test_checks_run_in_order(partner: V3Partner) -> None:
    right = partner.headers
    partner.headers = {"Accept": "text/html", "Content-Type": "text/html", "x-api-key": "wrong"}

    def told(method: str, path: str, *corrected: str) -> tuple[int, str]:
        partner.headers |= {name: right[name] for name in corrected}
        response = partner.call(method, path, b"[")
        return response.status, response.keys[0]

    assert told("PUT", "/v1") == (401, "unauthorized")
    assert told("PUT", "/v1", "x-api-key") == (404, "not_found")
    assert told("PUT", ACCOUNTS) == (405, "method_not_allowed")
    assert told("POST", ACCOUNTS) == (406, "not_acceptable")
    assert told("POST", ACCOUNTS, "Accept") == (415, "unsupported_media_type")
    assert told("POST", ACCOUNTS, "Content-Type") == (401, "unauthorized")
    assert told("POST", ACCOUNTS, "Authorization") == (400, "json.payload.invalid")


@pytest.mark.parametrize(("limit", "key"), [("rate", "throttled"), ("quota", "quota_exceeded")])
def test_too_many_calls_are_reported_as_an_object(limit: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.sandbox.provider.time.time", lambda: 1_000_000.0)
    with Server(provider(**{limit: 1})) as server, V3Partner(server.url) as partner:
        partner.page()
        response = partner.page()

    assert (response.status, response.json["error_key"]) == (429, key)


def test_the_list_has_the_contracts_fields_and_no_email_address(partner: V3Partner) -> None:
    created = send(partner).json

    listed = partner.page()

    account = {
        "encoded_account_id": created["encoded_account_id"],
        "organization_name": "Anna's Bakery",
        "site_owner_name": "anna-jones",
        "billing_status": "Trial",
        "subscriber_count": 0,
    }
    assert (listed.status, listed.json) == (200, {"site_owner_list": [account], "_links": {}})


@pytest.mark.parametrize(
    ("query", "first"),
    [
        *((query, 50) for query in ("", "?limit=50", "?limit=9", "?limit=51", "?limit=ten", "?limit=", "?limit=010")),
        ("?limit=10", 10),
        ("?limit=21", 21),
        ("?offset=", 50),
    ],
)
def test_pages_link_to_each_other_until_all_accounts_are_listed(partner: V3Partner, query: str, first: int) -> None:
    names = [f"anna-{number:02}" for number in range(52)]
    for name in names:
        partner.create(name)
    page = partner.page(query).json
    assert len(page["site_owner_list"]) == first
    seen = page["site_owner_list"]

    while following := page["_links"].get("next"):
        page = partner.call("GET", following["href"]).json
        assert page["site_owner_list"]
        seen += page["site_owner_list"]

    assert [account["site_owner_name"] for account in seen] == names


@pytest.mark.parametrize(
    "query", ["offset=-1", "offset=10", "offset=x", "offset=%C3%A9", "offset=eA**", "account_type=", "account_type=ALL"]
)
def test_a_request_for_an_impossible_page_is_refused(partner: V3Partner, query: str) -> None:
    response = partner.page("?" + query)

    assert (response.status, response.keys) == (400, ["query.param.invalid"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000])
def test_a_body_other_than_a_json_object_is_refused(partner: V3Partner, body: bytes) -> None:
    assert partner.call("POST", ACCOUNTS, body).keys == ["json.payload.invalid"]


def test_an_offset_is_opaque(partner: V3Partner) -> None:
    for number in range(11):
        partner.create(f"anna-{number:02}")

    assert partner.page("?limit=10").json["_links"] == {"next": {"href": ACCOUNTS + "?offset=MTA*&limit=10"}}


def test_the_list_can_be_filtered_by_managed_accounts(partner: V3Partner) -> None:
    partner.create("anna-1", managed_site_owner=True)
    partner.create("anna-2", single_billing=True)
    partner.create("anna-3")

    def names(kind: str) -> list[str]:
        page = partner.page(f"?account_type={kind}").json
        return [account["site_owner_name"] for account in page["site_owner_list"]]

    assert names("all") == ["anna-1", "anna-2", "anna-3"]
    assert names("managed") == ["anna-1", "anna-2"]
    assert names("unmanaged") == ["anna-3"]


def test_the_list_can_show_owner_names_in_place_of_login_names(sandbox: Server, partner: V3Partner) -> None:
    sandbox.provider.lists_owners = True
    send(partner)
    sandbox.provider.add_account("berta", "Berta's", first_name="Berta", last_name="Box")

    assert partner.names() == ["Anna Jones", "Berta Box"]
    assert sandbox.provider.lists_owners


def test_secrets_are_neither_logged_nor_stored(
    sandbox: Server, partner: V3Partner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = partner.log_in().json["access_token"]
    partner.headers["Authorization"] = f"Bearer {token}"

    send(partner)

    assert f"POST {ACCOUNTS} → 201" in caplog.text
    provider = sandbox.provider
    kept = repr((provider.accounts, provider.calls, provider.token_calls, provider._dialect.tokens.__dict__))
    for secret in (*CANARIES.values(), RIGHT["password"], token):
        assert secret not in caplog.text + kept


def test_v2_has_no_access_tokens(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v2"
    with Server(provider()) as server, Partner(server.url) as partner:
        assert partner.call("POST", TOKEN_PATH, b"grant_type=client_credentials").status == 403
