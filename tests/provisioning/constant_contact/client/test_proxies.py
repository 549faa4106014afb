"""Whether anything was sent when a proxy fails."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.constant_contact import Meaning, connect, v3
from tests.provisioning.constant_contact.client.calls import ANNA, CREDENTIALS, KEY, PASSWORD, client
from tests.provisioning.constant_contact.peer import answering, peer


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
    v3.TOKENS.clear()
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
