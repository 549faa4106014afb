"""The observer finds violations of the contract, and the sandbox declares where it is stricter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from pytest_django import Settings

from provisioning.constant_contact import Client, Credentials, Meaning, connect
from provisioning.sandbox import Server
from provisioning.sandbox.messages import Answer, Listing
from provisioning.sandbox.v3 import STRICTER, V3
from tests.checkout import Checkout
from tests.contract.contract import CONTRACT, problems_of
from tests.contract.observer import found
from tests.provisioning.sandbox.partner import V3_PATH, V3Partner, provider
from tests.provisioning.values import SIGN_UP

PROVISION = {"$ref": "#/definitions/Provision"}


@pytest.fixture(autouse=True)
def _v3(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(provider()) as server:
        yield server


@pytest.fixture
def partner(server: Server) -> Iterator[V3Partner]:
    with V3Partner(server.url) as partner:
        yield partner


@pytest.fixture
def client(server: Server, settings: Settings) -> Client:
    credentials = Credentials(
        url=server.url,
        api_key=settings.CONSTANT_CONTACT_API_KEY,
        username=settings.CONSTANT_CONTACT_USERNAME,
        password=settings.CONSTANT_CONTACT_PASSWORD,
        token_url=server.token_url,
    )
    return connect("v3", credentials, timeout=5)


def seen() -> str:
    """Return what the observer found, and clear it: the violations were this test's purpose."""
    told = "; ".join(found)
    found.clear()
    return told


@pytest.mark.parametrize("name", CONTRACT["definitions"])
def test_the_contract_is_a_valid_document(name: str) -> None:
    assert CONTRACT["swagger"] == "2.0"
    Draft4Validator.check_schema(CONTRACT["definitions"][name])


def test_client_and_sandbox_meet_the_contract(client: Client) -> None:
    assert client.create(SIGN_UP | {"country_code": "DE", "state_code": ""}).meaning == Meaning.CREATED
    for number in range(60):
        client.create(SIGN_UP | {"username": f"anna-{number:02}", "website": "https://example.com"})
    first = client.list_accounts()
    second = client.list_accounts(first.next_page)
    assert (len(first.entries), len(second.entries), second.next_page) == (50, 11, "")
    assert not found


@pytest.mark.parametrize(
    ("changes", "violation"),
    [({"phone": "1"}, "$.contact_phone: minLength"), ({"last_name": "x" * 81}, "$.last_name: maxLength")],
)
def test_a_wrong_request_by_our_client_is_found(client: Client, changes: dict[str, str], violation: str) -> None:
    assert client.create(SIGN_UP | changes).meaning == Meaning.REFUSED
    assert violation in seen()


def test_a_page_of_the_wrong_size_is_found(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.constant_contact.v3.PAGE_SIZE", 51)
    assert client.list_accounts().meaning == Meaning.LISTED
    assert seen() == "our request: ?limit is out of range"


def test_the_request_of_the_first_release_is_found(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It left the state out, and the sandbox accepted that."""
    monkeypatch.setattr(V3, "always", frozenset())
    call = client.call

    def without_state(*args: Any, **request: Any) -> Any:
        request.get("json", {}).pop("state_code", None)
        return call(*args, **request)

    monkeypatch.setattr(client, "call", without_state)
    assert client.create(SIGN_UP | {"country_code": "DE"}).meaning == Meaning.CREATED
    told = seen()
    assert "our request: $: required" in told
    assert "a wrong request is answered 201" in told


def test_a_wrong_answer_is_found(partner: V3Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    partner.create("anna-jones")
    true_page = V3.page

    def page(self: V3, *args: Any) -> Answer:
        body = json.loads(true_page(self, *args).body)
        body["site_owner_list"][0] |= {"subscriber_count": "none", "email": "anna@example.com"}
        return Answer.of(200, body)

    monkeypatch.setattr(V3, "page", page)
    partner.page()
    told = seen()
    assert "answered with $.site_owner_list[0].subscriber_count: type" in told
    assert "answered with email, which is not in the contract" in told

    monkeypatch.setattr(V3, "page", lambda *_: Answer(204, b"", "text/html"))
    partner.page()
    assert seen() == "answered 204, which the contract does not know; answered as text/html"


def test_a_wrong_request_that_the_sandbox_accepts_is_found(partner: V3Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(V3, "_listing", lambda *_: Listing(0, 50))
    partner.page("?account_type=some&colour=red")
    assert seen() == (
        "a wrong request is answered 200: ['?account_type is none of its values', '?colour is not in the contract']"
    )


def test_a_refusal_of_what_the_contract_allows_is_found(partner: V3Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(V3, "extra", {"time_zone_id": replace(V3.extra["time_zone_id"], max_length=3)})
    partner.create("anna-jones", time_zone_id="US/Eastern")
    assert seen() == "refused for time_zone_id with json.max.length.violation, which the contract allows"


def test_a_sandbox_in_another_process_is_observed_too(contract_violations: Path, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    module = checkout.directory / "provisioning/sandbox/v3.py"
    module.write_text(module.read_text().replace('"subscriber_count": 0', '"subscriber_count": "0"'))
    names = ("CONSTANT_CONTACT_API_KEY", "CONSTANT_CONTACT_USERNAME", "CONSTANT_CONTACT_PASSWORD")
    checkout.environment |= {name: os.environ[name] for name in names} | {"CONSTANT_CONTACT_API": "v3"}
    program = checkout.start("manage.py", "sandbox", "--port", "0")
    try:
        with V3Partner(program.find(r"listening on (\S+)")[1]) as partner:
            assert partner.create("anna-jones").status == 201
            assert partner.page().status == 200
    finally:
        checkout.end()

    assert contract_violations.read_text() == "answered with $.site_owner_list[0].subscriber_count: type\n"
    contract_violations.write_text("")


LISTED: dict[tuple[str, str], dict[str, Any]] = {
    ("json.field.invalid", "colour"): {"colour": "red"},
    ("json.field.missing", "contact_phone"): {"contact_phone": None},
    ("json.email.invalid", "contact_email"): {"contact_email": "anna"},
    ("json.value.invalid", "login_name"): {"login_name": "anna jones"},
    ("json.max.length.violation", "country_code"): {"country_code": "USA"},
    ("json.max.length.violation", "website"): {"website": "https://example.com/" + "x" * 255},
}
"""An error key and the property refused with it → what the contract allows."""


@pytest.mark.parametrize(("refusal", "changes"), LISTED.items(), ids=str)
def test_the_sandbox_is_as_strict_as_its_list_says(
    partner: V3Partner, refusal: tuple[str, str], changes: dict[str, Any]
) -> None:
    right = {partner.spelled.get(name, name): value for name, value in SIGN_UP.items()}
    sent = {name: value for name, value in (right | changes).items() if value is not None}
    assert not problems_of(PROVISION, sent)

    response = partner.call("POST", V3_PATH, json.dumps(sent).encode())

    told = {(each["error_key"], each["error_message"].partition(":")[0][2:]) for each in response.json}
    assert (response.status, refusal in told) == (400, True)


def test_the_list_includes_offsets_that_no_page_gave(partner: V3Partner) -> None:
    assert partner.page("?offset=x").keys == ["query.param.invalid"]
    tried = {key for key, _ in LISTED} | {"query.param.invalid"}
    assert {each.error_key for each in STRICTER} == tried
    assert all(each.reason for each in STRICTER)
