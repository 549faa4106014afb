"""What the client sends, and how it interprets answers."""

import json
from datetime import timedelta

import pytest

from provisioning.constant_contact import Meaning
from provisioning.constant_contact.client import MAX_BODY_SIZE
from provisioning.sandbox import Server
from tests.provisioning.constant_contact.client.calls import ANNA, KEY, ask, client
from tests.provisioning.constant_contact.peer import answering, peer


def test_an_account_is_created_in_the_sandbox(sandbox: Server) -> None:
    answer = client(sandbox.url).create(ANNA)
    assert (answer.meaning, answer.status, answer.oauth2_token) == (Meaning.CREATED, 201, "")
    assert sandbox.provider.accounts["anna"].id == answer.account_id


def test_a_token_is_returned_on_request(sandbox: Server) -> None:
    answer = client(sandbox.url, oauth2_token=True).create(ANNA)
    assert answer.oauth2_token
    assert answer.oauth2_token not in answer.body
    assert answer.oauth2_token not in repr(answer)


def test_the_request_is_as_documented() -> None:
    with peer(answering(201, '{"id": "1"}')) as provider:
        client(provider.url, oauth2_token=True).create(ANNA)
    head, _, body = provider.requests[0].partition("\r\n\r\n")
    assert head.startswith(f"POST /v2/partner/accounts?oauth2_token_provided=true&api_key={KEY} HTTP/1.1")
    headers = dict(line.split(": ", 1) for line in head.lower().split("\r\n")[1:])
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["authorization"].startswith("basic ")
    assert headers["user-agent"].startswith("constant-contact-signup ")
    assert json.loads(body) == {name: value for name, value in ANNA.items() if value}


def test_no_token_is_requested_unless_configured() -> None:
    with peer(answering(201, '{"id": "1"}')) as provider:
        client(provider.url).create(ANNA)
    assert "oauth2_token_provided" not in provider.requests[0]


def test_single_billing_always_sends_managed_site_owner() -> None:
    with peer(answering(201, '{"id": "1"}')) as provider:
        client(provider.url).create(ANNA | {"single_billing": True, "managed_site_owner": False})
    body = json.loads(provider.requests[0].partition("\r\n\r\n")[2])
    assert body["single_billing"] is body["managed_site_owner"] is True


def test_a_call_is_made_once_whatever_the_result() -> None:
    with peer(answering(503, "")) as provider:
        client(provider.url).create(ANNA)
    assert len(provider.requests) == 1


def test_a_redirect_is_not_followed() -> None:
    with peer(answering(302, "", "Location: /elsewhere")) as provider:
        answer = client(provider.url).create(ANNA)
    assert (answer.meaning, answer.status, len(provider.requests)) == (Meaning.NOTHING_CREATED, 302, 1)


@pytest.mark.parametrize("body", ['{"id": 123}', '{"id": "123", "surprise": [1]}'])
def test_a_success_with_an_id_means_created(body: str) -> None:
    answer = ask(answering(200, body))
    assert (answer.meaning, answer.account_id) == (Meaning.CREATED, "123")


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", "null", "<html>", '{"id": ""}', '{"id": null}', '{"id": [1]}', '{"id": "' + "9" * 81 + '"}'],
)
def test_a_success_with_an_undocumented_body_is_unknown(body: str) -> None:
    answer = ask(answering(201, body))
    assert (answer.meaning, answer.status, answer.account_id) == (Meaning.UNKNOWN, 201, "")


def test_a_refusal_names_the_refused_properties() -> None:
    body = '[{"error_key": "json.email", "error_message": "#/email: not valid"}]'
    answer = ask(answering(400, body))
    assert answer.meaning == Meaning.REFUSED
    assert [problem.property for problem in answer.problems] == ["email"]
    assert answer.body == body


def test_the_stored_body_fits_every_database() -> None:
    answer = ask(answering(400, rb'[{"error_key": "k\u0000", "error_message": "\ud800"}]' + b"\xff\0" + b"x" * 20_000))
    assert "\0" not in answer.body
    assert len(answer.body) == 10_000
    answer = ask(answering(400, r'{"error_key": "k\u0000", "error_message": "\ud800"}'))
    assert (answer.problems[0].error_key, answer.problems[0].error_message) == ("k�", "?")


def test_an_endless_body_is_not_read_to_its_end() -> None:
    answer = ask(answering(201, b" " * (MAX_BODY_SIZE + 100_000) + b'{"id": "1"}'))
    assert answer.meaning == Meaning.UNKNOWN


@pytest.mark.parametrize("status", [302, 403, 429, 500, 503])
def test_the_answer_includes_retry_after(status: int) -> None:
    assert ask(answering(status, "", "Retry-After: 30")).retry_after == timedelta(seconds=30)
    assert ask(answering(status, "")).retry_after is None


def test_a_mashery_page_reports_an_inactive_key() -> None:
    assert ask(answering(403, "<h1>Developer Inactive</h1>", "Content-Type: text/html")).meaning == Meaning.STOP
    header = "x-mashery-error-code: ERR_403_DEVELOPER_OVER_QPS"
    assert ask(answering(403, "<h1>Forbidden</h1>", header)).meaning == Meaning.OVER_RATE


@pytest.mark.parametrize("charset", ["nonsense", "hex", "undefined", "idna", "", "utf-8", "x; a*=x; a*0=y"])
def test_an_invalid_encoding_does_not_break_the_call(charset: str) -> None:
    answer = ask(answering(400, b'{"error_key": "k"} \xff', f"Content-Type: application/json; charset={charset}"))
    assert answer.body.startswith('{"error_key": "k"}')


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_whatever_its_encoding(encoding: str) -> None:
    assert ask(answering(201, '{"id": "Ž7"}'.encode(encoding))).account_id == "Ž7"


def test_json_is_utf_8_whatever_the_header_says() -> None:
    said = "Content-Type: application/json; charset=iso-8859-1"
    assert ask(answering(201, '{"id": "Ž7"}'.encode(), said)).account_id == "Ž7"
