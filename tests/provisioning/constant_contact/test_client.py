"""The client over real HTTP: what it sends, how it interprets answers, and that it leaks no secrets."""

import base64
import contextlib
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from urllib3.connection import HTTPConnection

from provisioning.constant_contact import Answer, Client, Credentials, Entry, Meaning, connect, v3
from provisioning.constant_contact.client import MASK, MAX_BODY_SIZE, mask
from provisioning.constant_contact.transport import IDLE
from provisioning.sandbox import Server
from tests.deploy.nginx import certify
from tests.patience import PATIENCE
from tests.provisioning.constant_contact.deadline import deadline_once
from tests.provisioning.constant_contact.peer import ODD_LINKS, answering, peer

KEY, PASSWORD, SECRET, TOKEN = "canary-api-key", "canary-partner-password", "canary.Customer_1", "canary-token"
CREDENTIALS = Credentials(url="http://127.0.0.1:9", api_key=KEY, username="partner", password=PASSWORD)
ANNA = {
    "username": "anna",
    "password": SECRET,
    "organization_name": "Anna & Söhne",
    "first_name": "Anna",
    "last_name": "Novák",
    "email": "anna@nullmailer.com",
    "phone": "555-555-5555",
    "country_code": "US",
    "state_code": "MA",
    "website": "",
    "gdpr_opt_out": False,
}


def client(url: str, *, timeout: float = PATIENCE, oauth2_token: bool = False) -> Client:
    return connect("v2", replace(CREDENTIALS, url=url, oauth2_token=oauth2_token), timeout=timeout)


def ask(say: Callable[[socket.socket], None], timeout: float = PATIENCE, **properties: str) -> Answer:
    with peer(say) as provider:
        return client(provider.url, timeout=timeout).create(ANNA | properties)


# Requests


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


# Answers


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


# No answer


def test_a_refused_connection_means_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = client(f"http://127.0.0.1:{port}").create(ANNA)
    assert (answer.meaning, answer.status) == (Meaning.UNSENT, None)
    assert "refused" in answer.problems[0].error_message


def test_an_unknown_host_name_means_nothing_was_sent() -> None:
    assert client("http://provider.invalid").create(ANNA).meaning == Meaning.UNSENT


def test_an_untrusted_certificate_means_nothing_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # They would override what the client turned off.
        monkeypatch.delenv(name, raising=False)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certify(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    received = b""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            nonlocal received
            with (
                contextlib.suppress(ssl.SSLError),
                context.wrap_socket(listener.accept()[0], server_side=True) as connection,
            ):
                received = connection.recv(1000)

        server = threading.Thread(target=accept)
        server.start()
        answer = client(f"https://localhost:{listener.getsockname()[1]}").create(ANNA)
        server.join()
    assert answer.meaning == Meaning.UNSENT
    assert not received


def test_a_failed_tls_handshake_means_nothing_was_sent() -> None:
    """A server without TLS answers the ClientHello with garbage."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_clear() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server = threading.Thread(target=answer_in_clear)
        server.start()
        answer = client(f"https://127.0.0.1:{listener.getsockname()[1]}").create(ANNA)
        server.join()
    assert answer.meaning == Meaning.UNSENT


@pytest.mark.parametrize(
    "say",
    [
        lambda connection: None,
        lambda connection: connection.sendall(b"HTTP/1.1 201 Created\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"),
        lambda connection: connection.sendall(b"nonsense\r\n\r\n"),
    ],
    ids=["hung up", "half a head", "half a body", "not HTTP"],
)
def test_a_broken_answer_is_unknown(say: Callable[[socket.socket], None]) -> None:
    assert ask(say).meaning == Meaning.UNKNOWN


def test_a_kept_connection_is_reused_for_the_next_call(sandbox: Server) -> None:
    one = client(sandbox.url)
    assert one.create(ANNA).meaning == Meaning.CREATED
    assert one.create(ANNA).meaning == Meaning.TAKEN


def test_a_failure_on_a_kept_connection_is_unknown() -> None:
    """A byte may have gone out unless the opposite is certain."""
    with peer(lambda connection: connection.sendall(b"HTTP/1.1 409 X\r\nContent-Length: 2\r\n\r\n[]")) as provider:
        one = client(provider.url)
        assert one.create(ANNA).meaning == Meaning.TAKEN
        assert one.create(ANNA).meaning in (Meaning.UNKNOWN, Meaning.TAKEN)


def test_a_connection_idle_for_too_long_is_not_reused(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    one = client(sandbox.url)
    one.create(ANNA)
    closed: list[bool] = []
    monkeypatch.setattr(one._transport, "close", lambda: closed.append(True))
    one.list_accounts()
    assert closed == []
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + IDLE + 1)
    one.list_accounts()
    assert closed == [True]


# The deadline of a call


def trickle(connection: socket.socket, first: bytes, then: bytes) -> None:
    connection.sendall(first)
    while then:
        for byte in then:
            time.sleep(0.02)
            connection.sendall(bytes([byte]))
    connection.recv(1)


@pytest.mark.parametrize(
    "say",
    [
        lambda connection: trickle(connection, b"", b"H"),
        lambda connection: trickle(connection, b"HTTP/1.1 201 Created\r\n", b"X-A: b\r\n"),
        lambda connection: trickle(connection, b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n", b" "),
        lambda connection: trickle(connection, b"", b""),
    ],
    ids=["status line", "headers", "body", "silence"],
)
def test_a_call_ends_at_its_deadline_however_slowly_bytes_arrive(say: Callable[[socket.socket], None]) -> None:
    with peer(say) as provider, deadline_once(lambda: provider.requests) as timeouts:
        answer = client(provider.url, timeout=77).create(ANNA)
    assert answer.meaning == Meaning.UNKNOWN
    assert timeouts == [77]
    ended = "We ended the call, because no complete answer came in time (CONSTANT_CONTACT_TIMEOUT)."
    assert {problem.error_message for problem in answer.problems} <= {ended}


def test_an_endless_tls_handshake_is_cut_off_with_nothing_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = client(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3).create(ANNA)
    assert answer.meaning == Meaning.UNSENT


def test_nothing_is_sent_after_the_deadline(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving a host name can take longer than any timeout; by then another worker may have the account."""
    one = client(sandbox.url, timeout=0.05)
    connecting = one._transport.connecting

    def connect_late(connection: HTTPConnection) -> None:
        connecting(connection)
        time.sleep(0.2)

    monkeypatch.setattr(one._transport, "connecting", connect_late)
    answer = one.create(ANNA)
    assert answer.meaning == Meaning.UNSENT
    assert "before it was sent" in answer.problems[0].error_message
    assert not sandbox.provider.calls


def test_a_canceled_call_was_not_sent(sandbox: Server) -> None:
    one = client(sandbox.url)

    def call_off() -> None:
        raise LookupError("canary")

    answer = one.create(ANNA, call_off)
    assert answer.meaning == Meaning.RETRY
    assert answer.problems[0].error_message == "The call was canceled before it was sent."
    assert not sandbox.provider.calls


def test_a_bug_of_ours_is_logged_without_its_message(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = client(sandbox.url)
    monkeypatch.setattr(one, "_exchange", lambda *_, **__: dict[str, str]()[SECRET])
    assert one.create(ANNA).meaning == Meaning.UNSENT
    assert "call failed error=KeyError" in caplog.text
    assert SECRET not in caplog.text


def test_credentials_in_any_script_authenticate() -> None:
    with peer(answering(201, '{"id": "1"}')) as provider:
        one = connect("v2", replace(CREDENTIALS, url=provider.url, password="č" + PASSWORD), timeout=5)
        assert one.create(ANNA).meaning == Meaning.CREATED
    assert f"Basic {base64.b64encode(f'partner:č{PASSWORD}'.encode()).decode()}" in provider.requests[0]


@pytest.mark.parametrize("key", ["канарейка", "canary\r\nkey"])
def test_a_request_that_cannot_be_sent_was_not_sent(sandbox: Server, key: str) -> None:
    """It has a v3 header that no HTTP library sends."""
    v3._tokens.clear()
    one = connect("v3", replace(CREDENTIALS, url=sandbox.url, api_key=key), timeout=5)
    one._tokens.token, one._tokens.until = "token", time.monotonic() + 999  # type: ignore[attr-defined]
    assert one.create(ANNA).meaning == Meaning.UNSENT


def test_a_bug_of_ours_after_sending_leaves_the_result_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.constant_contact.client.decode", lambda *_: dict[str, str]()["canary"])
    assert ask(answering(201, '{"id": "1"}')).meaning == Meaning.UNKNOWN


@pytest.mark.parametrize("status", [403, 405, 407, 502])
def test_a_proxy_that_refuses_to_connect_sent_nothing(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    with peer(answering(status, "<h1>Not for you</h1>")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        answer = client("https://api.example.com").create(ANNA, lambda: started.append(1))
    assert proxy.requests[0].startswith("CONNECT api.example.com:443 ")
    assert (answer.meaning, answer.status, started) == (Meaning.UNSENT, None, [])
    assert answer.problems[0].error_message == (
        f"The proxy refused to connect to the provider (HTTP {status}). Check HTTPS_PROXY and the proxy."
    )
    assert KEY not in repr(answer)


def test_a_proxy_that_disconnects_while_connecting_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(lambda connection: None) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        answer = client("https://api.example.com").create(ANNA)
    assert answer.meaning == Meaning.UNSENT


def test_an_unreachable_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    answer = client("https://api.example.com").create(ANNA)
    assert (answer.meaning, answer.problems[0].error_message) == (
        Meaning.UNSENT,
        "No answer from the proxy: ConnectionRefusedError (Connection refused)",
    )


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store another login for the provider's host, as curl users may have."""
    file = tmp_path / "netrc"
    file.write_text("default login stranger password stranger\n")
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.usefixtures("netrc")
def test_a_netrc_file_never_replaces_our_credentials() -> None:
    v3._tokens.clear()
    token = answering(200, '{"access_token": "canary-jwt"}')
    with peer(token) as tokens, peer(answering(201, '{"id": "1"}')) as provider:
        credentials = replace(CREDENTIALS, url=provider.url, token_url=tokens.url)
        for api in ("v2", "v3"):
            connect(api, credentials, timeout=5).create(ANNA)
    basic = f"\r\nAuthorization: Basic {base64.b64encode(f'partner:{PASSWORD}'.encode()).decode()}\r\n"
    assert basic in provider.requests[0]
    assert basic in tokens.requests[0]
    assert "\r\nAuthorization: Bearer canary-jwt\r\n" in provider.requests[1]


def test_a_failure_behind_a_plain_http_proxy_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(lambda connection: None) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert client("http://api.example.com").create(ANNA).meaning == Meaning.UNKNOWN
    assert proxy.requests[0].startswith("POST http://api.example.com/v2/partner/accounts")


# The account list


def test_the_list_of_accounts_is_read_page_by_page(sandbox: Server) -> None:
    one = client(sandbox.url)
    ids = {name: one.create(ANNA | {"username": name}).account_id for name in ("anna", "ben", "cleo")}
    page = one.call(
        "GET",
        f"{sandbox.url}/v2/partner/accounts",
        lambda _: None,
        params={"limit": "2", "api_key": KEY},
        auth=one.basic,
    )
    next_page = json.loads(page.body)["meta"]["pagination"]["next_link"]
    second = one.list_accounts(next_page)
    assert second.meaning == Meaning.LISTED
    assert len(second.entries) == 1
    assert second.next_page == ""
    assert {each.username: each.account_id for each in one.list_accounts().entries} == ids


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '{"results": []}',
        '{"results": [], "meta": []}',
        '{"results": [], "meta": {"pagination": null}}',
        '{"results": [], "meta": {"pagination": {"next_link": 7}}}',
        *(f'{{"meta": {{"pagination": {{}}}}, "results": {results}}}' for results in ("null", "1", "{}")),
    ],
)
def test_a_list_with_an_undocumented_body_is_unknown(body: str) -> None:
    with peer(answering(200, body)) as provider:
        answer = client(provider.url).list_accounts()
    assert (answer.meaning, answer.entries) == (Meaning.UNKNOWN, ())


@pytest.mark.parametrize("link", ODD_LINKS)
def test_an_odd_link_to_the_next_page_is_asked_for_as_it_can_be(link: str) -> None:
    with peer(answering(200, json.dumps({"results": [], "meta": {"pagination": {"next_link": link}}}))) as provider:
        answer = client(provider.url).list_accounts()
        assert answer.meaning == Meaning.LISTED
        assert "\0" not in answer.next_page.encode().decode()
        assert client(provider.url).list_accounts(answer.next_page).meaning == Meaning.LISTED


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        (f"/v2/partner/accounts?api_key={KEY}&next=abc", "/v2/partner/accounts?next=abc"),
        (f"/v2/partner/accounts?next=abc&api_key={KEY}", "/v2/partner/accounts?next=abc&"),
    ],
)
def test_our_key_is_not_kept_with_the_link_to_the_next_page(link: str, kept: str) -> None:
    with peer(answering(200, json.dumps({"results": [], "meta": {"pagination": {"next_link": link}}}))) as provider:
        assert client(provider.url).list_accounts().next_page == kept


def listed(*entries: object) -> Answer:
    body = json.dumps({"results": entries, "meta": {"pagination": {}}})
    with peer(answering(200, body)) as provider:
        return client(provider.url).list_accounts()


def test_an_entry_is_returned_as_listed() -> None:
    entry = {"id": 7, "username": "Anna", "organization_name": "Anna & Söhne", "status": "TRIAL", "last_login_date": 1}
    assert listed(entry).entries == (Entry("7", "Anna", "Anna & Söhne", "TRIAL"),)


def test_an_entry_with_missing_fields_is_kept() -> None:
    assert listed({"id": "7", "username": "anna", "status": None}).entries == (Entry("7", "anna", "", ""),)


def test_long_listed_text_is_cut_to_fit() -> None:
    (entry,) = listed({"id": "7", "username": "a" * 999, "organization_name": "o\0" * 999}).entries
    assert (len(entry.username), len(entry.organization_name)) == (255, 255)
    assert "\0" not in entry.organization_name


@pytest.mark.parametrize(
    "odd",
    [
        1,
        None,
        [],
        {},
        {"id": "7"},
        {"id": "7", "username": ""},
        {"id": "7", "username": None},
        {"id": "7", "username": 7},
        *({"id": number, "username": "anna"} for number in (None, "", "  ", [1], True, 1.5, "9" * 81)),
    ],
)
def test_unreadable_entries_are_skipped_and_counted(odd: object) -> None:
    answer = listed(odd, {"id": "8", "username": "berta"})
    assert answer.meaning == Meaning.LISTED
    assert (answer.skipped, [each.account_id for each in answer.entries]) == (1, ["8"])


@pytest.mark.parametrize("status", [302, 403, 429, 500, 503])
def test_the_answer_includes_retry_after(status: int) -> None:
    assert ask(answering(status, "", "Retry-After: 30")).retry_after == timedelta(seconds=30)
    assert ask(answering(status, "")).retry_after is None


def test_a_mashery_page_reports_an_inactive_key() -> None:
    assert ask(answering(403, "<h1>Developer Inactive</h1>", "Content-Type: text/html")).meaning == Meaning.STOP
    header = "x-mashery-error-code: ERR_403_DEVELOPER_OVER_QPS"
    assert ask(answering(403, "<h1>Forbidden</h1>", header)).meaning == Meaning.OVER_RATE


# Secrets


@pytest.mark.parametrize("status", [201, 400, 401, 409, 500])
def test_secrets_repeated_in_an_answer_are_masked(status: int) -> None:
    said = json.dumps(
        {
            "error_key": "k",
            "error_message": f"#/password: {SECRET} for {KEY} and {PASSWORD}",
            "oauth2_token": TOKEN,
            "url": f"/v2?api_key={KEY}",
        }
    )
    answer = ask(answering(status, said))
    for secret in (SECRET, KEY, PASSWORD, TOKEN):
        assert secret not in repr(answer)
    assert MASK in answer.body


@pytest.mark.parametrize("secret", ['quote"d', "back\\slash", "per%cent &", "ümlaut"])
def test_a_secret_is_masked_in_every_spelling(secret: str) -> None:
    for spelled in (secret, json.dumps(secret), quote(secret), quote_plus(secret)):
        masked = mask(f"so {spelled}!", (secret,))
        assert spelled.strip('"') not in masked
        assert MASK in masked


@pytest.mark.parametrize("password", ["password", "organization", "error_key", "value"])
def test_words_that_only_look_like_the_password_stay_readable(password: str) -> None:
    said = [
        {"error_key": "json.value.invalid", "error_message": "#/organization_name: Not a value.value"},
        {"error_key": "json.field.missing", "error_message": "#/password: 8 or more characters."},
        {"error_key": "k", "error_message": f"#/organization: Not '{password}'.", "given": password},
    ]

    answer = ask(answering(400, json.dumps(said)), password=password)

    told = json.loads(answer.body)
    assert [list(each) for each in told] == [list(each) for each in said]
    assert told[:2] == said[:2]
    assert told[2] == {"error_key": "k", "error_message": f"#/organization: Not '{MASK}'.", "given": MASK}
    assert [each.property for each in answer.problems] == ["organization_name", "password", "organization"]


@pytest.mark.parametrize("password", ["hunter2x", "a.b-c@d", "!odd one%", "ümlaut", "Under_score"])
@pytest.mark.parametrize(
    "said", ["{}", "so {}.", "so {}, then", '"{}"', "password={}&x", "<b>{}</b>", "({})", '{{"{}": 1}}', "#/x: {}"]
)
def test_the_password_is_masked_wherever_it_is_a_whole_word(password: str, said: str) -> None:
    assert password not in mask(said.format(password), (), password)


@pytest.mark.parametrize("secret", ["a/b", "<b>&'\"", "č/ß"])
def test_a_secret_is_masked_in_the_spelling_of_any_body(secret: str) -> None:
    for spelled in (
        escape(secret),
        quote(secret, safe=""),
        json.dumps(secret).replace("/", r"\/"),
        json.dumps(secret, ensure_ascii=False),
    ):
        assert spelled.strip('"') not in mask(f"so {spelled}!", (secret,))


ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp037")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("named", [True, False])
def test_a_page_in_any_encoding_is_masked(encoding: str, named: bool) -> None:
    if encoding == "cp037" and not named:
        return
    page = f"<html><body><h1>č {KEY} and {PASSWORD}</h1></body></html>" if encoding != "cp037" else f"<p>{PASSWORD}"
    content_type = f"Content-Type: text/html; charset={encoding}" if named else "Content-Type: text/html"
    answer = ask(answering(502, page.encode(encoding), content_type))
    assert MASK in answer.body
    assert "canary" not in answer.body
    assert "\0" not in answer.body


def test_a_secret_in_a_different_encoding_masks_the_whole_text() -> None:
    answer = ask(answering(502, b"<p>proxy says: " + PASSWORD.encode("utf-16-le")))
    assert answer.body == MASK


@pytest.mark.parametrize("charset", ["nonsense", "hex", "undefined", "idna", "", "utf-8"])
def test_an_invalid_encoding_does_not_break_the_call(charset: str) -> None:
    answer = ask(answering(400, b'{"error_key": "k"} \xff', f"Content-Type: application/json; charset={charset}"))
    assert answer.body.startswith('{"error_key": "k"}')


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_whatever_its_encoding(encoding: str) -> None:
    assert ask(answering(201, '{"id": "Ž7"}'.encode(encoding))).account_id == "Ž7"


def test_json_is_utf_8_whatever_the_header_says() -> None:
    said = "Content-Type: application/json; charset=iso-8859-1"
    assert ask(answering(201, '{"id": "Ž7"}'.encode(), said)).account_id == "Ž7"


def test_a_secret_in_an_error_key_is_masked() -> None:
    assert KEY not in repr(ask(answering(400, f'{{"error_key": "no.{KEY}"}}')))


def test_the_token_in_a_truncated_body_is_masked() -> None:
    answer = ask(answering(201, f'{{"id": "1", "oauth2_token": "{TOKEN}'))
    assert TOKEN not in answer.body


def test_no_log_line_shows_a_secret_even_at_debug_level(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        client(sandbox.url, oauth2_token=True).create(ANNA)
        client("http://127.0.0.1:9", timeout=0.5).create(ANNA)
    logged = " ".join(record.getMessage() for record in caplog.records)
    for secret in (KEY, PASSWORD, SECRET):
        assert secret not in logged


def test_repr_of_credentials_and_answers_shows_no_secret() -> None:
    shown = repr(CREDENTIALS) + repr(Answer(meaning=Meaning.CREATED, oauth2_token=TOKEN))
    for secret in (KEY, PASSWORD, TOKEN):
        assert secret not in shown


def test_a_watchdog_leaves_no_thread_behind(sandbox: Server) -> None:
    one = client(sandbox.url)
    one.list_accounts()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
            assert not thread.is_alive()


def test_the_watchdog_tolerates_a_peer_that_disconnects_first(sandbox: Server) -> None:
    one = client(sandbox.url)
    one.list_accounts()
    with contextlib.closing(one):
        one._transport._disconnect()
        one._transport._disconnect()
    one._transport._disconnect()
