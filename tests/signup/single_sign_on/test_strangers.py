"""Strangers who haven't logged in can neither fill the database nor block all threads."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.conf import settings as own
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from signup.cookies import Messages
from signup.single_sign_on import calls
from signup.single_sign_on import openid as module
from signup.single_sign_on.pre_login import MAX_LENGTH, PreLoginSession
from tests.openid import OpenIdProvider
from tests.openid.person import PAGE, Person
from tests.signup.accounts import TYPED

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LONG = dict.fromkeys(TYPED, "x" * 1000)
WIDE = {name: chr(0x4E00 + number) * 60 for number, name in enumerate(TYPED)}


@pytest.fixture(autouse=True)
def staff_too(settings: Settings, openid: OpenIdProvider) -> None:
    settings.OIDC_ISSUER, settings.OIDC_STAFF_CLAIM = openid.issuer, "groups"
    for name, value in openid.settings.items():
        setattr(settings, name, value)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login/",
        "/login/callback/?code=a&state=b",
        "/login/callback/?error=access_denied",
        "/start/?token=none",
        "/signup/open/?token=none",
        "/language/",
        "/admin/",
        "/admin/login/",
        "/admin/log-in/",
        "/admin/log-in/callback/?code=a&state=b",
        "/nowhere",
    ],
)
@pytest.mark.parametrize("with_csrf", [True, False])
def test_a_stranger_leaves_nothing_in_the_database(path: str, with_csrf: bool) -> None:
    client = Client(enforce_csrf_checks=not with_csrf)

    client.get(path)
    client.post(path, LONG | {"language": "es", "submission": ""})
    client.post(path, {"username": "nobody", "password": "x"})

    assert not Session.objects.exists()
    assert own.SESSION_COOKIE_NAME not in client.cookies


def cookie(client: Client) -> Any:
    return client.cookies[own.PRE_LOGIN_COOKIE_NAME]


@pytest.mark.parametrize("typed", [TYPED, WIDE])
def test_a_filled_in_form_fits_in_a_cookie(client: Client, typed: dict[str, str]) -> None:
    client.post("/", typed)
    for _ in range(12):
        client.get("/login/")

    assert len(cookie(client).value) <= MAX_LENGTH
    assert cookie(client)["httponly"]
    assert cookie(client)["secure"]


def test_typed_values_survive_the_visit_to_the_provider(client: Client) -> None:
    client.post("/", WIDE)

    form = Person(client, "anna").come_back().context["form"]

    assert form.initial["last_name"] == WIDE["last_name"]


def test_a_cookie_that_is_too_large_drops_its_oldest_part(client: Client) -> None:
    client.post("/", {name: "".join(map(chr, range(0x4E00, 0x4E00 + 1000))) for name in TYPED})

    assert len(cookie(client).value) <= MAX_LENGTH


@pytest.mark.parametrize("forged", ["nonsense", "a:b:c"])
def test_a_forged_cookie_is_ignored(client: Client, forged: str) -> None:
    client.cookies[own.PRE_LOGIN_COOKIE_NAME] = forged

    assert client.get("/").status_code == 200
    assert not PreLoginSession(forged).items()


class Hanging:
    """A provider that accepts connections and never answers."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self.asked = threading.Semaphore(0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://localhost:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self._listening.accept()[0])
            except OSError:
                return
            self.asked.release()

    def hang_up(self) -> None:
        for each in self.connections:
            each.close()

    def end(self) -> None:
        with suppress(OSError):  # It has ended already.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.hang_up()


@pytest.fixture
def hanging(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    hanging = Hanging()
    settings.OIDC_ISSUER = hanging.issuer
    monkeypatch.setattr(calls, "DEADLINE", 60)
    monkeypatch.setattr(calls, "MAX_WAIT", 0.01)
    yield hanging
    hanging.end()


def visit(path: str, client: Client | None = None) -> Any:
    try:
        return (client or Client()).get(path)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/login/", "/admin/log-in/"])
def test_one_thread_at_a_time_waits_for_a_provider_that_hangs(hanging: Hanging, path: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(visit, path)
        assert hanging.asked.acquire(timeout=60)

        others = [visit(path) for _ in range(20)]

        assert not first.done()
        hanging.hang_up()
        assert first.result(60).status_code == others[0].status_code
    assert {answer.status_code for answer in others} == {503 if path == "/login/" else 302}
    assert len(hanging.connections) == 1
    visit(path)
    assert len(hanging.connections) == 1  # Not asked again at once.


def test_the_providers_metadata_is_fetched_once_an_hour(
    client: Client, monkeypatch: pytest.MonkeyPatch, openid: OpenIdProvider
) -> None:
    now = [1000.0]
    monkeypatch.setattr("signup.single_sign_on.openid.time.monotonic", lambda: now[0])
    assert client.get("/login/").status_code == 302
    openid.spoiled = "broken"
    assert client.get("/login/").status_code == 302
    now[0] += module.CACHED_FOR + 1
    assert client.get("/login/").status_code == 302  # Old metadata is better than none.

    module.metadata_cache.clear()
    assert client.get("/login/").status_code == 503
    openid.spoiled = ""
    assert client.get("/login/").status_code == 503
    now[0] += module.RETRY_AFTER + 1
    assert client.get("/login/").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_few_threads_wait_for_a_provider_that_hangs_in_callbacks(
    hanging: Hanging, settings: Settings, openid: OpenIdProvider
) -> None:
    settings.OIDC_ISSUER = openid.issuer
    clients = [Client() for _ in range(12)]
    backs = [Person(each, "anna").log_in().removeprefix(PAGE) for each in clients[: calls.MAX_CONCURRENT + 1]]
    module.metadata_cache.get(None)["token_endpoint"] = hanging.issuer

    with ThreadPoolExecutor(calls.MAX_CONCURRENT) as pool:
        stuck = [pool.submit(visit, back, client) for back, client in zip(backs, clients, strict=False)][:-1]
        for _ in stuck:
            assert hanging.asked.acquire(timeout=60)
        assert visit(backs[-1], clients[calls.MAX_CONCURRENT]).status_code == 403
        assert len(hanging.connections) == calls.MAX_CONCURRENT
        hanging.end()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets an item for each code that is passed on to the provider."""
    asked: list[str] = []

    def turn() -> Any:
        asked.append("code")
        return nullcontext()

    monkeypatch.setattr(calls.concurrency, "limit", turn)
    return asked


def come_back(client: Client, start: str = "/login/", callback: str = "logged_in") -> None:
    """Come back from the provider with a made-up code."""
    state = parse_qs(client.get(start).headers["Location"])["state"][0]
    client.get(reverse(callback), {"code": "made-up", "state": state})


@pytest.mark.parametrize(("start", "callback"), [("/login/", "logged_in"), ("/admin/log-in/", "staff_logged_in")])
def test_made_up_codes_reach_the_provider_a_few_times_a_minute(start: str, callback: str, asked: list[str]) -> None:
    client, neighbor = Client(), Client(REMOTE_ADDR="203.0.113.7")

    for _ in range(module.MAX_FAILURES + 3):
        come_back(client, start, callback)
    assert len(asked) == module.MAX_FAILURES
    come_back(neighbor, start, callback)
    assert len(asked) == module.MAX_FAILURES + 1


def test_made_up_codes_from_the_networks_of_one_area_are_limited_together(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setattr(module, "MAX_FAILURES_OF_AREA", 3)

    for network in range(5):
        come_back(Client(REMOTE_ADDR=f"2001:db8:1:{network}::1"))
    assert len(asked) == 3
    come_back(Client(REMOTE_ADDR="2001:db8:2::1"))
    assert len(asked) == 4


@pytest.mark.parametrize("query", ["code=a&state=b", "error=server_error", "error=access_denied&state=b"])
def test_a_link_to_a_made_up_answer_keeps_nobody_from_logging_in(client: Client, query: str) -> None:
    for _ in range(module.MAX_FAILURES + 1):
        client.get(f"/login/callback/?{query}")
    assert Person(client, "anna").come_back().status_code == 200


def test_messages_that_nobody_reads_do_not_pile_up(client: Client) -> None:
    for _ in range(Messages.MAX_MESSAGES + 5):
        client.get("/admin/log-in/callback/?code=a&state=b")
    assert len(client.get("/admin/login/").context["messages"]) == Messages.MAX_MESSAGES


class Elsewhere(BaseHTTPRequestHandler):
    """Redirects every request to the provider."""

    to = ""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.to + self.path)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_redirects_of_the_provider_are_not_followed(client: Client, settings: Settings, openid: OpenIdProvider) -> None:
    handler = type("Handler", (Elsewhere,), {"to": openid.issuer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert client.get("/login/").status_code == 302
        module.metadata_cache.get(None)["jwks_uri"] = f"http://127.0.0.1:{server.server_port}/jwks"
        back = Person(client, "anna").log_in().removeprefix(PAGE)
        assert client.get(back).status_code == 403
        server.shutdown()
