"""The v3 API: tokens, property names, and its own answers."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.constant_contact import Answer, Credentials, Entry, Meaning, Problem, v3
from tests.patience import PATIENCE
from tests.provisioning.constant_contact.peer import ODD_LINKS, Peer, answering, peer

CREDENTIALS = Credentials(url="", api_key="canary-key", username="client-id", password="canary-secret")
ANNA = {"username": "Anna+1", "email": "anna@nullmailer.com", "phone": "55555", "password": "canary pass!"}
CREATED = '{"encoded_account_id": "p07e1", "provision_uuid": "f3a1"}'
TOKEN = "canary-jwt"


@pytest.fixture(autouse=True)
def _no_token_from_another_test() -> None:
    v3.TOKENS.clear()


@pytest.fixture
def tokens() -> Iterator[Peer]:
    body = json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
    with peer(answering(200, body)) as provider:
        yield provider


def client(api: Peer, tokens: Peer) -> v3.V3:
    return v3.V3(replace(CREDENTIALS, url=api.url, token_url=f"{tokens.url}/token"), timeout=PATIENCE)


def ask(tokens: Peer, say: Callable[[socket.socket], None]) -> Answer:
    with peer(say) as api:
        return client(api, tokens).create(ANNA)


def test_an_account_is_created_with_v3_property_names(tokens: Peer) -> None:
    with peer(answering(201, CREATED)) as api:
        answer = client(api, tokens).create(ANNA | {"single_billing": True, "website": ""})
    assert (answer.meaning, answer.account_id) == (Meaning.CREATED, "p07e1")
    head, _, body = api.requests[0].partition("\r\n\r\n")
    assert head.startswith("POST /v3/partner/accounts HTTP/1.1")
    assert f"\r\nAuthorization: Bearer {TOKEN}" in head
    assert "\r\nx-api-key: canary-key\r\n" in head
    assert json.loads(body) == {
        "login_name": "Anna+1",
        "contact_email": "anna@nullmailer.com",
        "contact_phone": "55555",
        "password": "canary pass!",
        "enable_single_billing": True,
        "managed_site_owner": True,
        "state_code": "",
    }


@pytest.mark.parametrize(("entered", "sent"), [({"state_code": "MA"}, "MA"), ({"state_code": ""}, ""), ({}, "")])
def test_a_state_is_always_sent(tokens: Peer, entered: dict[str, str], sent: str) -> None:
    """The contract requires it for every account; the guide says to leave it blank outside the US and Canada."""
    with peer(answering(201, CREATED)) as api:
        client(api, tokens).create(ANNA | entered)
    assert json.loads(api.requests[0].partition("\r\n\r\n")[2])["state_code"] == sent


def test_a_token_is_requested_with_the_partners_credentials(tokens: Peer) -> None:
    ask(tokens, answering(201, CREATED))
    head, _, body = tokens.requests[0].partition("\r\n\r\n")
    assert head.startswith("POST /token HTTP/1.1")
    assert "\r\nAuthorization: Basic " in head
    assert body == "grant_type=client_credentials"


def test_threads_share_a_token_and_fetch_it_once(tokens: Peer) -> None:
    with peer(answering(201, CREATED)) as api, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client(api, tokens).create(ANNA), range(16)))
    assert {answer.meaning for answer in answers} == {Meaning.CREATED}
    assert len(tokens.requests) == 1


def test_a_token_is_renewed_before_it_expires(tokens: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(answering(201, CREATED)) as api:
        one = client(api, tokens)
        one.create(ANNA)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 3600 - v3.RENEW_BEFORE + 1)
        one.create(ANNA)
    assert len(tokens.requests) == 2


@pytest.mark.parametrize(("age", "meaning"), [(0, Meaning.STOP), (v3.FRESH + 1, Meaning.RETRY)])
def test_after_a_401_the_next_call_fetches_a_new_token(
    age: float, meaning: Meaning, tokens: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 401 for an old token says nothing about the partner's credentials."""
    with peer(answering(401, '{"error_key": "unauthorized", "error_message": "x"}')) as api:
        one = client(api, tokens)
        assert one._fetch_token() is None
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + age)
        assert one.create(ANNA).meaning == meaning
        assert one.create(ANNA).meaning == Meaning.STOP
    assert (len(tokens.requests), len(api.requests)) == (2, 2)


def test_a_late_401_does_not_drop_a_newer_token() -> None:
    tokens = v3.Tokens(token="new")
    tokens.drop("old")
    assert tokens.token == "new"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(400, Meaning.STOP), (401, Meaning.STOP), (403, Meaning.STOP), (429, Meaning.UNSENT), (500, Meaning.UNSENT)],
)
def test_without_a_token_no_account_is_sent(status: int, meaning: Meaning) -> None:
    with peer(answering(status, '{"error": "invalid_client"}')) as tokens, peer(answering(201, CREATED)) as api:
        answer = client(api, tokens).create(ANNA)
    assert (answer.meaning, answer.status, api.requests) == (meaning, status, [])
    message = f"No access token from {tokens.url}/token: HTTP {status}; invalid_client"
    assert answer.problems == (Problem("", message),)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (400, Meaning.NOTHING_CREATED),
        (401, Meaning.STOP),
        (403, Meaning.NOTHING_CREATED),
        (404, Meaning.NOTHING_CREATED),
        (302, Meaning.NOTHING_CREATED),
        (503, Meaning.UNSENT),
        (200, Meaning.UNSENT),
    ],
)
def test_a_page_instead_of_a_token_names_the_token_server(status: int, meaning: Meaning) -> None:
    say = answering(status, "<h1>Gateway</h1>", "Content-Type: text/html\r\nRetry-After: 7")
    with peer(say) as tokens, peer(answering(201, CREATED)) as api:
        answer = client(api, tokens).create(ANNA)
    assert (answer.meaning, api.requests) == (meaning, [])
    assert answer.problems[0].error_message == f"No access token from {tokens.url}/token: HTTP {status}"
    assert answer.retry_after == (None if status == 200 else timedelta(seconds=7))


def test_an_unreachable_token_server_is_named() -> None:
    with peer(answering(201, CREATED)) as api:
        answer = client(api, Peer("http://127.0.0.1:9")).create(ANNA)
    assert answer.meaning == Meaning.UNSENT
    assert answer.problems[0].error_message.startswith("No access token from http://127.0.0.1:9/token: No answer: ")


@pytest.mark.parametrize(
    "lifetime",
    ["", ', "expires_in": null', ', "expires_in": "?"', ', "expires_in": 1e999', f', "expires_in": {10**400}'],
)
def test_a_token_without_a_lifetime_is_used_for_five_minutes(lifetime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = answering(200, f'{{"access_token": "x", "token_type": "Bearer"{lifetime}}}')
    with peer(token) as tokens, peer(answering(201, CREATED)) as api:
        one = client(api, tokens)
        assert one.create(ANNA).meaning == Meaning.CREATED
        assert one.create(ANNA).meaning == Meaning.CREATED
        assert len(tokens.requests) == 1
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 300)
        assert one.create(ANNA).meaning == Meaning.CREATED
    assert len(tokens.requests) == 2


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", *(f'{{"access_token": {token}}}' for token in ("null", '""', "7", '"a\\nb"', '"č"'))]
)
def test_invalid_token_answers_are_rejected(body: str) -> None:
    with peer(answering(200, body)) as tokens, peer(answering(201, CREATED)) as api:
        answer = client(api, tokens).create(ANNA)
    assert (answer.meaning, api.requests) == (Meaning.UNSENT, [])


def test_waiting_for_a_token_times_out(monkeypatch: pytest.MonkeyPatch, tokens: Peer) -> None:
    monkeypatch.setattr(v3, "TOKEN_TIMEOUT", 0.1)
    with peer(answering(201, CREATED)) as api:
        one = client(api, tokens)
        with v3.TOKENS[one.credentials].fetching:
            answer = one.create(ANNA)
    assert (answer.meaning, tokens.requests, api.requests) == (Meaning.UNSENT, [], [])


def test_a_refusal_names_properties_as_in_v2(tokens: Peer) -> None:
    answer = ask(tokens, answering(400, '[{"error_key": "k", "error_message": "#/contact_email: no"}]'))
    assert (answer.meaning, answer.problems[0].property) == (Meaning.REFUSED, "email")


@pytest.mark.parametrize(
    ("status", "key", "meaning"),
    [
        (403, "forbidden", Meaning.STOP),
        (409, "conflict", Meaning.TAKEN),
        (429, "throttled", Meaning.OVER_RATE),
        (429, "quota_exceeded", Meaning.OVER_QUOTA),
        (503, "service_unavailable", Meaning.UNKNOWN),
        (404, "not_found", Meaning.NOTHING_CREATED),
        (403, "unheard_of", Meaning.NOTHING_CREATED),
    ],
)
def test_v3_answers_mean_what_the_contract_says(tokens: Peer, status: int, key: str, meaning: Meaning) -> None:
    assert ask(tokens, answering(status, json.dumps({"error_key": key, "error_message": "m"}))).meaning == meaning


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "1"}', '{"encoded_account_id": ""}'])
def test_a_success_without_an_account_id_is_unknown(tokens: Peer, body: str) -> None:
    assert ask(tokens, answering(201, body)).meaning == Meaning.UNKNOWN


def test_the_list_is_read_page_by_page(tokens: Peer) -> None:
    entry = {
        "encoded_account_id": "p1",
        "site_owner_name": "Anna+1",
        "billing_status": "Trial",
        "organization_name": "A",
    }
    following = "/v3/partner/accounts?offset=50&limit=50"
    with peer(answering(200, json.dumps({"site_owner_list": [entry], "_links": {"next": {"href": following}}}))) as api:
        answer = client(api, tokens).list_accounts()
        client(api, tokens).list_accounts(answer.next_page)
    assert (answer.meaning, answer.entries) == (Meaning.LISTED, (Entry("p1", "Anna+1", "A", "Trial"),))
    assert api.requests[0].startswith("GET /v3/partner/accounts?limit=50 ")
    assert api.requests[1].startswith("GET /v3/partner/accounts?offset=50&limit=50 ")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"site_owner_list": {}}'])
def test_a_list_with_an_undocumented_body_is_unknown(tokens: Peer, body: str) -> None:
    with peer(answering(200, body)) as api:
        assert client(api, tokens).list_accounts().meaning == Meaning.UNKNOWN


def test_unreadable_entries_are_skipped_and_counted(tokens: Peer) -> None:
    with peer(answering(200, '{"site_owner_list": [{}, {"encoded_account_id": "p1"}]}')) as api:
        answer = client(api, tokens).list_accounts()
    assert (answer.meaning, answer.entries, answer.skipped) == (Meaning.LISTED, (), 2)


def test_start_is_called_for_api_calls_only(tokens: Peer) -> None:
    """The rate limit applies to the API; the token server is a different one."""
    started: list[int] = []
    with peer(answering(201, CREATED)) as api:
        client(api, tokens).create(ANNA, lambda: started.append(len(tokens.requests)))
    assert started == [1]


@pytest.mark.parametrize("links", ["null", "{}", '{"next": null}', '{"next": {}}'])
def test_the_last_page_has_no_next_page(tokens: Peer, links: str) -> None:
    with peer(answering(200, f'{{"site_owner_list": [], "_links": {links}}}')) as api:
        answer = client(api, tokens).list_accounts()
    assert (answer.meaning, answer.next_page) == (Meaning.LISTED, "")


def test_an_invalid_next_link_is_not_a_list(tokens: Peer) -> None:
    with peer(answering(200, '{"site_owner_list": [], "_links": {"next": {"href": 7}}}')) as api:
        assert client(api, tokens).list_accounts().meaning == Meaning.UNKNOWN


@pytest.mark.parametrize("link", ODD_LINKS)
def test_an_odd_link_to_the_next_page_is_asked_for_as_it_can_be(tokens: Peer, link: str) -> None:
    with peer(answering(200, json.dumps({"site_owner_list": [], "_links": {"next": {"href": link}}}))) as api:
        answer = client(api, tokens).list_accounts()
        assert answer.meaning == Meaning.LISTED
        assert "\0" not in answer.next_page.encode().decode()
        assert client(api, tokens).list_accounts(answer.next_page).meaning == Meaning.LISTED


def test_no_answer_shows_a_secret(tokens: Peer) -> None:
    said = f"{TOKEN} canary-key canary-secret canary pass!"
    answer = ask(tokens, answering(500, json.dumps({"error_key": "k", "error_message": said})))
    assert "canary" not in repr(answer)
    with peer(answering(401, json.dumps({"error_key": "k", "error_message": "canary-secret"}))) as refusing:
        v3.TOKENS.clear()
        assert "canary" not in repr(ask(refusing, answering(201, CREATED)))
    assert "canary" not in repr(v3.TOKENS)
