"""The whole stack: a documented reverse proxy, gunicorn, the page."""

import http.client
import re
import socket
import time
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from signup import form_guard
from signup.abuse import LIMITS
from signup.doctor import Level, public_address
from tests.browser.installation import Installation
from tests.certificates import HOST
from tests.deploy.proxy import Nginx, Proxy
from tests.deploy.visitor import HALF, answer_of, ask, open_slowly
from tests.installed import installed
from tests.patience import PATIENCE
from tests.signup.accounts import TYPED

pytestmark = pytest.mark.slow

Behind = tuple[Installation, Proxy]


class TestAVisitor:
    def test_slow_connections_block_gunicorn_alone_but_not_behind_the_proxy(self, behind: Behind) -> None:
        site, proxy = behind
        slow = [open_slowly(proxy) for _ in range(40)]
        assert ask(proxy).status == 200
        for each in slow:
            each.close()

        there = ("127.0.0.1", int(site.url.rpartition(":")[2]))
        with ExitStack() as slower:
            # Its two processes don't share connections evenly, so the first ones may leave a thread free.
            assert any(self.is_blocked_by_more(slower, there) for _ in range(10))

    def is_blocked_by_more(self, slower: ExitStack, there: tuple[str, int]) -> bool:
        """Open 40 more slow connections to gunicorn. Return whether it then answers nobody else."""
        for _ in range(40):
            tcp = slower.enter_context(socket.create_connection(there, PATIENCE))
            tcp.sendall(HALF.replace(b"\r\n\r\n", b"\r\nX-Forwarded-Proto: https\r\n\r\n"))
        try:
            answer_of(
                http.client.HTTPConnection(*there, timeout=2), headers={"Host": HOST, "X-Forwarded-Proto": "https"}
            )
        except TimeoutError:
            return True
        return False

    def test_limits_apply_whatever_headers_a_visitor_sends(self, behind: Behind) -> None:
        _site, proxy = behind
        statuses = {self.sign_up(proxy, number) for number in range(LIMITS["network"].an_hour + 1)}
        assert 429 in statuses
        assert self.sign_up(proxy, 99) == 429

    def test_cookies_are_secure_and_headers_come_once(self, behind: Behind) -> None:
        _site, proxy = behind
        answer = ask(proxy)
        assert re.search(r"__Host-csrftoken=.*[Ss]ecure", answer.headers["Set-Cookie"])
        for name in ("Strict-Transport-Security", "Content-Security-Policy", "X-Content-Type-Options"):
            assert len(answer.headers.get_all(name, [])) == 1

    def test_a_path_cannot_forge_a_line_of_the_web_servers_log(self, behind: Behind) -> None:
        site, proxy = behind
        ask(proxy, "/a%0A[01/Jan/2026:00:00:00]%20GET%20/forged%20200")
        while "/forged" not in (log := site.log.read_text()):
            time.sleep(0.05)
        assert not [line for line in log.splitlines() if line.startswith("[01/Jan/2026")]

    @pytest.mark.parametrize("path", ["/", "/admin/login/", "/api/v1/signups", "/healthz", "/nowhere"])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_what_is_refused_unread_does_not_cost_the_proxy_its_connection(
        self, behind: Behind, path: str, chunked: bool
    ) -> None:
        """Otherwise, the proxy would lose what it sends on it next."""
        site, _proxy = behind
        connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=PATIENCE)
        headers = {"Host": HOST, "X-Forwarded-For": "203.0.113.8", "X-Forwarded-Proto": "https"}
        form = headers | {"Content-Type": "application/x-www-form-urlencoded"}
        with closing(connection):
            connection.request("POST", path, iter([b"a" * 900_000]) if chunked else b"a" * 900_000, form)
            refused = connection.getresponse()
            refused.read()
            assert 400 <= refused.status < 500
            time.sleep(0.2)
            connection.request("GET", "/healthz", headers=headers)
            assert connection.getresponse().status == 200

    def test_an_encoding_that_a_request_names_is_not_applied(self, behind: Behind) -> None:
        _site, proxy = behind
        answer = ask(proxy, "/?name=%C3%A9", **{"Content-Type": "text/plain; charset=idna"})
        assert answer.status == 200

    def test_a_malformed_link_gets_an_answer_and_is_in_no_log(self, behind: Behind) -> None:
        site, proxy = behind
        plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
        with proxy.trusting.wrap_socket(plain, server_hostname=HOST) as line:
            request = f"GET /signup/open/?token=canary&from=é HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            line.sendall(request.encode())
            assert line.recv(12) == b"HTTP/1.1 400"
        while "Invalid request: Invalid HTTP request line\n" not in (log := site.log.read_text()):
            time.sleep(0.05)
        assert "canary" not in log + proxy.log.read_text()

    def test_a_request_with_two_lengths_gets_an_answer(self, behind: Behind) -> None:
        site, _proxy = behind
        with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), PATIENCE) as line:
            line.sendall(HALF.replace(b"Content-Length: 10", b"Content-Length: 10\r\nContent-Length: 11"))
            assert line.recv(12) == b"HTTP/1.1 400"

    def sign_up(self, proxy: Proxy, number: int) -> int:
        """Send a form that was shown a while ago, and return the status of the response."""
        page = ask(proxy)
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        submission = str(uuid.uuid4())
        shown = form_guard._signer().sign_object([submission, time.time() - 60])
        own = {"username": f"anna-{number}-{submission[:8]}", "email": f"anna-{number}@example.com"}
        hidden = {"csrfmiddlewaretoken": token[0], "submission": submission, "shown": shown, "comment": ""}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": page.headers["Set-Cookie"].split(";")[0],
            "Referer": f"https://{HOST}/",
            "X-Forwarded-For": f"198.51.100.{number}",
        }
        return ask(proxy, "/", "POST", urlencode(TYPED | own | hidden), **headers).status


def test_a_key_that_is_sent_unencrypted_is_refused_by_the_page(behind: Behind) -> None:
    """A client would follow a redirect with its key, and nobody would notice."""
    _site, proxy = behind
    connection = http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=PATIENCE)
    answer = answer_of(connection, "/api/v1/signups", headers={"Host": HOST, "Authorization": "Bearer ccs_canary"})

    assert (answer.status, answer.headers["Location"]) == (403, None)
    assert "https" in answer.text


def test_the_doctor_finds_no_problems(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    _installation, proxy = behind
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))

    assert [finding.level for finding in public_address.check(f"https://{HOST}:{proxy.port}")] == [Level.OK]


@pytest.mark.parametrize("program", [Nginx], ids=["nginx"], scope="session")
def test_the_doctor_notices_that_responses_are_not_buffered(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unbuffered(Nginx):
        def adapted(self, *changes: tuple[str, str]) -> str:
            return super().adapted(*changes, ("proxy_buffering on", "proxy_buffering off"))

    site, _buffered = behind
    with installed(Unbuffered, tmp_path, site.url.removeprefix("http://")) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))

        texts = [finding.text for finding in public_address.check(f"https://{HOST}:{proxy.port}")]

    assert texts[1:] == ["It doesn't buffer responses."]
