"""The provider as a separate process, behind a proxy that does what no certified provider would.

    with OpenIdProvider() as provider:
        ...  # OIDC_ISSUER is provider.issuer
        provider.spoiled = "nonce"

Raises FileNotFoundError if there is no Node, or the provider is not installed.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.patience import PATIENCE

HERE = Path(__file__).parent
HONEST, ELSEWHERE = 0, 1
"""The hosts of the two providers: the honest one, and the one that claims another issuer."""


def secret_of(client: str) -> str:
    return f"canary-secret-of-{client}"


class OpenIdProvider:
    """A provider at `issuer`. `spoiled` is empty, or says what goes wrong:

    - `nonce`, `audience`: the login is for another nonce, or for another client
    - `issuer`, `issuer in token`: another issuer is named everywhere, or only in the token
    - `unsigned`: the token has no signature, and the metadata says that this is normal
    - `no id token`: there is none; `user info`: it is about somebody else
    - `expired`: the code comes too late
    - `broken`: answers can't be parsed; `slow`: they take a second
    """

    settings = {"OIDC_CLIENT_ID": "page", "OIDC_CLIENT_SECRET": secret_of("page")}

    def __init__(self) -> None:
        if not (shutil.which("node") and (HERE / "node_modules").exists()):
            raise FileNotFoundError(
                "No OpenID provider: where Node is (on Debian: apt-get install nodejs npm), `make test` installs one"
            )
        self.spoiled = ""
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": self}))
        self._proxy.daemon_threads = True
        # A different site from the page's 127.0.0.1, so that browsers send cookies back as they would in production.
        self.issuer = f"http://localhost:{self._proxy.server_port}"
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        command = ["node", "provider.mjs", self.issuer]
        self._process = subprocess.Popen(
            command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout
        self.ports = [int(port) for port in re.findall(r"\d+", self._process.stdout.readline())]
        assert len(self.ports) == 2, "The provider has not started."
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    provider: OpenIdProvider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, *_: Any) -> None:
        pass

    def _pass_on(self) -> None:
        spoiled = self.provider.spoiled
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.close_connection = True
        if spoiled == "slow":
            time.sleep(1)
        if spoiled == "broken":
            self._answer(502, [("Content-Type", "text/html")], b"<h1>Bad gateway</h1>")
        else:
            self._forward(body, spoiled)

    def _forward(self, body: bytes, spoiled: str) -> None:
        path, headers = self._request(spoiled)
        port = self.provider.ports[ELSEWHERE if spoiled.startswith("issuer") else HONEST]
        there = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        there.request(self.command, path, body, headers)
        response = there.getresponse()
        answer = response.read()
        there.close()
        if response.headers.get_content_type() == "application/json":
            answer = json.dumps(self._spoil(json.loads(answer), spoiled)).encode()
        self._answer(response.status, response.getheaders(), answer)

    def _request(self, spoiled: str) -> tuple[str, dict[str, str]]:
        path, headers = self.path, dict(self.headers.items())
        if spoiled == "nonce":
            path = re.sub(r"nonce=\w+", "nonce=another", path)
        if spoiled == "audience":
            path = path.replace("client_id=page", "client_id=other")
            if path == "/token":
                basic = base64.b64encode(f"other:{secret_of('other')}".encode()).decode()
                headers["Authorization"] = f"Basic {basic}"
        if spoiled == "expired":
            headers["X-Hurry"] = "yes"
            if path == "/token":
                time.sleep(2.1)
        return path, headers

    def _spoil(self, answer: dict[str, Any], spoiled: str) -> dict[str, Any]:
        if spoiled == "issuer in token" and "issuer" in answer:
            answer["issuer"] = self.provider.issuer
        if spoiled == "unsigned":
            if "id_token_signing_alg_values_supported" in answer:
                answer["id_token_signing_alg_values_supported"] += ["none"]
            if "id_token" in answer:
                header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
                answer["id_token"] = f"{header}.{answer['id_token'].split('.')[1]}."
        if spoiled == "no id token":
            answer.pop("id_token", None)
        if spoiled == "user info" and self.path == "/me":
            answer["sub"] = "somebody-else"
        return answer

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "keep-alive"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
