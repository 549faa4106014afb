"""The documented reverse proxy: what gets through, and what a visitor can't do."""

import http.client
import re
import runpy
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.contrib.messages.storage.cookie import CookieStorage

from signup.single_sign_on.pre_login import MAX_LENGTH
from tests.certificates import HOST
from tests.checkout import ROOT
from tests.deploy.proxy import Caddy, Nginx, Proxy
from tests.deploy.visitor import HALF, HALF_CHUNKED_GET, HALF_GET, answer_of, ask, open_slowly
from tests.installed import found, installed
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

FORGED = {
    "X-Forwarded-For": "198.51.100.66",
    "X-Forwarded-Proto": "http",
    "X_Forwarded_For": "198.51.100.67",
    "X-Request-ID": "198.51.100.68",
}


LARGE_COOKIES = {"__Host-carried": MAX_LENGTH, "__Host-messages": CookieStorage.max_cookie_size, "others": 1000}
"""All that one response of ours may set, with their sizes."""


class Upstream:
    """An upstream server that remembers the headers of each request that gets through, and all bodies."""

    def __init__(self) -> None:
        self.seen: list[dict[str, list[str]]] = []
        self.bodies: list[bytes] = []
        self.connections: list[object] = []
        remembered = {"seen": self.seen, "bodies": self.bodies, "connections": self.connections}
        self._handler = type("Handler", (_Handler,), remembered)
        self._port = 0
        self.start()
        self._port = self.server.server_port
        self.address = f"127.0.0.1:{self._port}"

    def start(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[dict[str, list[str]]]
    bodies: list[bytes]
    connections: list[object]

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.client_address)

    def do_POST(self) -> None:
        names = {name.lower() for name in self.headers}
        if not self.path.startswith("/healthz?"):  # Caddy asks whether the page runs.
            self.seen.append({name: self.headers.get_all(name, []) for name in names})
            self.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path == "/crash":
            self.close_connection = True
            return
        self.send_response(204)
        if self.path == "/cookies":
            for name, size in LARGE_COOKIES.items():
                self.send_header("Set-Cookie", f"{name}={'x' * size}; Secure; HttpOnly")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def proxy(tmp_path: Path, upstream: Upstream, program: type[Proxy]) -> Iterator[Proxy]:
    with installed(program, tmp_path, upstream.address) as proxy:
        yield proxy


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_forwarded_headers_from_visitors_are_replaced(proxy: Proxy, upstream: Upstream, scheme: str) -> None:
    forged = {"Host": HOST, **FORGED, "X-Forwarded-Proto": "http" if scheme == "https" else "https"}
    if scheme == "https":
        assert ask(proxy, **forged).status == 204
    else:
        unencrypted = http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=PATIENCE)
        assert answer_of(unencrypted, "/api/", headers=forged).status == 204

    (seen,) = upstream.seen
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == [scheme]
    assert seen["host"] == [HOST]
    assert not [values for values in seen.values() if any("198.51.100" in value for value in values)]


def test_all_our_cookies_get_through_together(proxy: Proxy) -> None:
    """The buffers for headers must hold them, or the visitor gets a 502."""
    answer = ask(proxy, "/cookies")

    assert answer.status == 204
    assert len(answer.headers.get_all("Set-Cookie", [])) == len(LARGE_COOKIES)


@pytest.mark.parametrize(
    ("half", "rest"),
    [
        (HALF, b"x" * 9),
        (HALF_GET, b"x" * 9),
        (HALF_CHUNKED_GET, b"1\r\nx\r\n0\r\n\r\n"),
        (HALF_GET.replace(b" / ", b" /healthz "), b"x" * 9),
    ],
    ids=["POST", "GET", "chunked GET", "GET as Caddy's own"],
)
def test_a_request_arrives_only_once_it_is_whole(proxy: Proxy, upstream: Upstream, half: bytes, rest: bytes) -> None:
    """Even a GET, which needs no body, can have one."""
    with closing(open_slowly(proxy, half)) as slow:
        time.sleep(0.5)  # A slow machine only makes this easier.
        assert ask(proxy).status == 204
        assert len(upstream.seen) == 1
        slow.sendall(rest)
        assert slow.recv(1000)
    assert len(upstream.seen) == 2


def test_connections_to_the_page_are_used_again(proxy: Proxy, upstream: Upstream) -> None:
    """The web server closes each one in its main thread, so new ones for every request would slow down all others."""
    for method in ("GET", "POST"):
        assert ask(proxy, "/", method).status == 204
    before = len(upstream.connections)
    for method in ("GET", "POST", "GET"):
        assert ask(proxy, "/", method).status == 204

    assert len(upstream.connections) == before


def test_the_proxy_closes_unused_connections_before_the_page_does(program: type[Proxy]) -> None:
    configuration = (ROOT / "deploy" / program.configuration).read_text()
    (unused,) = re.findall(r"\bkeepalive(?:_timeout)? (\d+)s", configuration)

    assert int(unused) + 10 <= runpy.run_path(str(ROOT / "gunicorn.conf.py"))["keepalive"]


def test_caddy_has_nothing_to_say_about_its_configuration() -> None:
    """It would warn at each start."""
    file = ROOT / "deploy" / "Caddyfile"
    command = [found("caddy", "caddy"), "fmt", str(file)]

    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == file.read_text()


class TestAPageThatRestarts:
    @pytest.mark.parametrize("program", [Caddy], ids=["caddy"], scope="session")
    def test_caddy_waits_for_it(self, proxy: Proxy, upstream: Upstream) -> None:
        upstream.stop()
        with ThreadPoolExecutor() as visitors:
            forms = [f"form {number}" for number in range(8)]
            asked = [visitors.submit(ask, proxy, "/", "POST", form) for form in forms]
            asked.append(visitors.submit(ask, proxy))
            time.sleep(0.5)  # A slow machine only makes this easier.
            upstream.start()

            assert {each.result().status for each in asked} == {204}
        assert sorted(upstream.bodies) == sorted([b"", *(form.encode() for form in forms)])

    @pytest.mark.parametrize("program", [Nginx], ids=["nginx"], scope="session")
    def test_nginx_tries_again_what_is_only_to_be_shown(self, proxy: Proxy, upstream: Upstream) -> None:
        upstream.stop()

        assert 'http-equiv="refresh"' in ask(proxy).text
        assert 'http-equiv="refresh"' not in ask(proxy, "/", "POST", "form").text
        upstream.start()
        assert ask(proxy).status == 204

    def test_visitors_are_told_that_it_will_be_back(self, proxy: Proxy, upstream: Upstream) -> None:
        upstream.stop()

        for method in ("GET", "POST"):
            answer = ask(proxy, "/", method)
            assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
            assert "be right back" in answer.text

    def test_a_form_that_it_may_have_got_is_not_sent_again(self, proxy: Proxy, upstream: Upstream) -> None:
        assert ask(proxy, "/", "POST", "first").status == 204  # The next one comes on the same connection.

        assert ask(proxy, "/crash", "POST", "second").status == 502

        assert upstream.bodies == [b"first", b"second"]


def test_a_logo_gets_through_and_a_larger_upload_does_not(proxy: Proxy, upstream: Upstream) -> None:
    assert ask(proxy, "/", "POST", "x" * 900_000).status == 204
    assert ask(proxy, "/", "POST", "x" * 2_000_000).status == 413
    assert len(upstream.seen) == 1


def test_http_redirects_to_https_and_other_host_names_get_no_answer(proxy: Proxy, upstream: Upstream) -> None:
    plain = answer_of(http.client.HTTPConnection("127.0.0.1", proxy.http_port), "/?a=b", headers={"Host": HOST})
    assert (plain.status, plain.headers["Location"]) == (301, f"https://{HOST}:{proxy.port}/?a=b")

    with pytest.raises(http.client.RemoteDisconnected):
        answer_of(http.client.HTTPConnection("127.0.0.1", proxy.http_port), headers={"Host": "stranger.example.net"})
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as tcp, pytest.raises(ssl.SSLError):
        proxy.trusting.wrap_socket(tcp, server_hostname="stranger.example.net")
    assert not upstream.seen


def test_nothing_tells_the_version_of_the_proxy(proxy: Proxy) -> None:
    for port in (proxy.http_port, proxy.port):
        for request in ("GARBAGE", f"GET / HTTP/1.1\r\nHost: {HOST}", "GET / HTTP/1.1\r\nHost: stranger.example.net"):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as tcp:
                tcp.sendall(f"{request}\r\nConnection: close\r\n\r\n".encode())
                assert not re.search(rb"(nginx|caddy)/[0-9]", tcp.recv(5000), re.IGNORECASE)


def test_nothing_is_logged_for_other_host_names(proxy: Proxy) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        answer_of(
            http.client.HTTPConnection("127.0.0.1", proxy.http_port),
            "/start/?token=canary-token",
            headers={"Host": "stranger.example.net"},
        )
    ask(proxy)
    assert lines_of(proxy.log, 1)
    for log in proxy.directory.rglob("*"):
        assert not log.is_file() or b"canary-token" not in log.read_bytes()


def test_what_is_for_your_own_monitoring_does_not_exist_outside(proxy: Proxy, upstream: Upstream) -> None:
    """Each check of /readyz writes to the database."""
    for path in ("/readyz", "/metrics", "/readyz?a=b", "/%72eadyz", "//readyz", "/signup/../metrics", "/./readyz"):
        answer = ask(proxy, path, Authorization="Bearer token")

        assert answer.status == 404, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not upstream.seen


def lines_of(log: Path, least: int) -> list[str]:
    """Return the lines of a log, once there are at least `least`: a line is written after its response."""
    while len(lines := log.read_text().splitlines()) < least:
        time.sleep(0.05)
    return lines


def test_its_log_has_no_links_no_addresses_and_no_forged_line(proxy: Proxy) -> None:
    ask(proxy, "/start/?token=canary-token")
    ask(proxy, "/a%0A2026-01-01T00:00:00+00:00%20GET%20/admin/%20200")

    assert len(lines_of(proxy.log, 2)) == 2
    assert "canary" not in proxy.log.read_text()
    assert "127.0.0.1" not in proxy.log.read_text()


def test_no_log_has_a_link_while_the_page_is_down(proxy: Proxy, upstream: Upstream) -> None:
    """nginx's own error log quotes the request."""
    upstream.stop()

    assert ask(proxy, "/start/?token=canary-token").status == 502

    assert lines_of(proxy.log, 1)
    for log in proxy.directory.rglob("*"):
        assert not log.is_file() or b"canary-token" not in log.read_bytes(), log.name


def test_pages_that_the_proxy_answers_itself_have_the_headers_too(proxy: Proxy, upstream: Upstream) -> None:
    upstream.stop()

    for answer in (ask(proxy), ask(proxy, "/", "POST", "x" * 2_000_000), ask(proxy, "/", "TRACE")):
        assert answer.status in {502, 413, 405}
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            answer.headers["Content-Security-Policy"] == "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
        )


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_only_strong_ciphers_of_tls_1_2_and_1_3_are_accepted(proxy: Proxy) -> None:
    def spoken(highest: ssl.TLSVersion, ciphers: str) -> str:
        context = proxy.trusting
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, highest
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with (
            socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as tcp,
            context.wrap_socket(tcp, server_hostname=HOST) as connection,
        ):
            return str(connection.version())

    assert spoken(ssl.TLSVersion.TLSv1_3, "ALL") == "TLSv1.3"
    assert spoken(ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM") == "TLSv1.2"
    for highest, ciphers in ((ssl.TLSVersion.TLSv1_2, "ECDHE+AES+SHA"), (ssl.TLSVersion.TLSv1_1, "ALL")):
        with pytest.raises(ssl.SSLError):
            spoken(highest, ciphers)


@pytest.mark.parametrize(
    "second", ["Transfer-Encoding: chunked", "Content-Length: 5", "Transfer-Encoding: identity", " Content-Length: 5"]
)
def test_a_request_with_two_lengths_never_becomes_two(proxy: Proxy, upstream: Upstream, second: str) -> None:
    """It is refused, or, as RFC 9112 (section 6.3) allows, arrives with one length and ends the connection."""
    plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
    with proxy.trusting.wrap_socket(plain, server_hostname=HOST) as connection:
        request = (
            f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 40\r\n{second}\r\n\r\n0\r\n\r\nGET /admin/ HTTP/1.1"
        )
        connection.sendall(request.encode())
        status = connection.recv(1000).split()[1]
    if status not in {b"400", b"501"}:
        (seen,) = upstream.seen
        assert len({"content-length", "transfer-encoding"} & set(seen)) == 1
