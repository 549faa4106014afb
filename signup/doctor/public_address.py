"""The check of the reverse proxy: a request through the public address shows how requests arrive here.

The page (`reflect`) says how it saw a request only if the request has a token that it signed within the last minute.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from signup import visitors
from signup.doctor.findings import Finding, failure, ok, reason, warning

SUBJECT = "Reverse proxy"
PATH = "/healthz/reflection"
SALT = "signup.doctor"
LIFETIME = 60
FORGED = "198.51.100.66"
"""An address that no visitor has (RFC 5737). A proxy must not pass it on as the visitor's."""
PAUSE = 1.0
"""Seconds between two halves of the request. If the page sees them, the proxy doesn't buffer."""
REFLECT, RESPOND = "reflect", "respond"
"""What the doctor asks for: how its request arrived, or a large response, which it reads late."""
LARGE, CHUNK = 9_000_000, 60_000
"""Bytes of the response, and of its parts. The network's own buffers take a few million of them."""
SEND_BUFFER = 16_384
TIMEOUT = 30
"""Seconds. The proxy may wait 20 for a page that restarts."""


@csrf_exempt
@never_cache
@require_POST
def reflect(request: HttpRequest) -> HttpResponseBase:
    """Answer how the doctor's own request arrived here, or how long a large response took."""
    try:
        wanted = signing.loads(request.headers.get("X-Doctor", ""), salt=SALT, max_age=LIFETIME)
    except signing.BadSignature:
        raise Http404 from None
    if wanted == RESPOND:
        return StreamingHttpResponse(_respond(request), content_type="application/json")
    started = time.monotonic()
    request.read()
    return JsonResponse(
        {
            "slow": time.monotonic() - started > PAUSE / 2,
            "host": request.get_host(),
            "visitor": str(visitors.address(request)),
            "has_address": "X-Forwarded-For" in request.headers,
            "is_secure": request.is_secure(),
        }
    )


def _respond(request: HttpRequest) -> Iterator[bytes]:
    """Yield a large JSON document. It ends with the seconds that passed until the proxy had taken nearly all of it."""
    if connection := request.META.get("gunicorn.socket"):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    started = time.monotonic()
    for _ in range(LARGE // CHUNK):
        yield b" " * CHUNK
    yield json.dumps({"seconds": time.monotonic() - started}).encode()


def check(url: str) -> Iterator[Finding]:
    """Send a request to the page through its public address, and compare how it arrives."""
    if not url:
        yield warning(SUBJECT, "The page's public address is not known.", "Add it: --url https://signup.example.com")
        return
    try:
        status, body = _ask(url)
    except ssl.SSLCertVerificationError as error:
        text = f"The certificate of {url} is not valid{reason(error)}."
        yield failure(SUBJECT, text, "Renew it, fix its host name, or let the proxy send its whole chain.")
        return
    except socket.gaierror:
        fix = "Check this machine's DNS, and the name: it is the first of ALLOWED_HOSTS, or the one of --url."
        yield warning(SUBJECT, f"{urlsplit(url).hostname} has no address.", fix)
        return
    except OSError:
        fix = "Check that the proxy runs. If this machine can't reach its own public address, check from another one."
        yield warning(SUBJECT, f"{url} can't be reached from here.", fix)
        return
    if status in (301, 302, 307, 308):
        fix = "Set X-Forwarded-Proto in the proxy, and list its address in TRUSTED_PROXIES."
        yield failure(SUBJECT, "Pages redirect to themselves: they can't tell that visitors use HTTPS.", fix)
    elif status == 400:
        yield failure(SUBJECT, "The page refuses the host name.", "Pass Host on, and list it in ALLOWED_HOSTS.")
    elif status in (502, 503, 504):
        fix = "Start it: the end of its log says what it lacks. If it runs, let the proxy forward to its address."
        yield failure(SUBJECT, f"The proxy of {url} gets no answer from the web server ({status}).", fix)
    elif status != 200:
        fix = "Check that the address leads to this installation, with this SECRET_KEY."
        yield failure(SUBJECT, f"{url} answers {status}, but not with this page.", fix)
    else:
        yield from _judge(url, json.loads(body), json.loads(_ask(url, PAUSE)[1]))
        yield from _judge_responses(url)


def _judge(url: str, seen: dict[str, Any], seen_slowly: dict[str, Any]) -> Iterator[Finding]:
    address = urlsplit(url)
    problems = []
    if seen["host"].partition(":")[0] != address.hostname:
        problems.append(failure(SUBJECT, "It doesn't pass Host on.", "Pass it on: it chooses the brand."))
    if not seen["has_address"]:
        fix = "Set it to the visitor's address. Without it, all visitors share one limit."
        problems.append(failure(SUBJECT, "It doesn't set X-Forwarded-For.", fix))
    elif seen["visitor"] == FORGED:
        fix = "Overwrite it: visitors can make up their address."
        problems.append(failure(SUBJECT, "It passes on a visitor's own X-Forwarded-For.", fix))
    if address.scheme == "https" and not seen["is_secure"]:
        fix = "Set X-Forwarded-Proto in the proxy, and list its address in TRUSTED_PROXIES."
        problems.append(failure(SUBJECT, "The page can't tell that visitors use HTTPS.", fix))
    if seen_slowly["slow"]:
        fix = "Turn on request buffering: sixteen slow connections can freeze the page."
        problems.append(warning(SUBJECT, "It doesn't buffer requests.", fix))
    yield from problems or [ok(SUBJECT, f"Requests to {url} arrive correctly.")]


def _judge_responses(url: str) -> Iterator[Finding]:
    try:
        answer = json.loads(_ask(url, wanted=RESPOND, read_after=3 * PAUSE)[1])
    except http.client.IncompleteRead:
        fix = "See the proxy's own log: the folder where it buffers them is often full, or not writable."
        yield failure(SUBJECT, "It cuts large responses short.", fix)
        return
    if answer["seconds"] >= 3 * PAUSE:  # The page was kept back until the doctor began to read.
        fix = "Turn on response buffering: sixteen slow downloads can freeze the page."
        yield warning(SUBJECT, "It doesn't buffer responses.", fix)


def _ask(url: str, pause: float = 0, *, wanted: str = REFLECT, read_after: float = 0) -> tuple[int, bytes]:
    """Send a request in two halves, with forged headers. Return the status and the body of the response.

    `pause` is the time between the halves, and `read_after` the time until the body is read.
    """
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT)
    try:
        connection.putrequest("POST", PATH)
        headers = {"X-Doctor": signing.dumps(wanted, salt=SALT), "Content-Length": "2"}
        for name, value in (headers | {"X-Forwarded-For": FORGED, "X-Forwarded-Proto": "http"}).items():
            connection.putheader(name, value)
        connection.endheaders(b"a" if pause else b"ab")
        if pause:
            time.sleep(pause)
            connection.send(b"b")
        response = connection.getresponse()
        time.sleep(read_after)
        return response.status, response.read()
    finally:
        connection.close()
