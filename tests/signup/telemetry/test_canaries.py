"""What Sentry and an OpenTelemetry collector get if a sign-up and a call fail: where and what, and no value at all."""

from __future__ import annotations

import socket
import urllib.error
from urllib.parse import urlencode

import pytest

from tests.checkout import Checkout
from tests.patience import PATIENCE
from tests.provisioning.sandbox.partner import until
from tests.signup.accounts import TYPED
from tests.signup.telemetry.conftest import PLANTED, SECRETS, Receiver
from tests.visitor import serve

pytestmark = pytest.mark.slow


def fail(checkout: Checkout) -> set[str]:
    """Let a sign-up fail in the web server, and another one's call in a worker. Return the visitor's cookies."""
    visitor = serve(checkout, **{"X-Planted": PLANTED["header"], "User-Agent": PLANTED["agent"]})
    query = urlencode({"q": PLANTED["query"]})
    with pytest.raises(urllib.error.HTTPError, match="500"):
        visitor.open(f"/?{query}", TYPED | {"username": "anna-fails"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        visitor.open(f"/{PLANTED['query']}/")
    visitor.open(f"/?{query}", TYPED)
    checkout.start("manage.py", "provision").find("job failed")
    return {str(cookie.value) for cookie in visitor.cookies}


def leaked(text: str, cookies: set[str]) -> set[str]:
    assert cookies
    return {secret for secret in SECRETS | cookies | {"anna-fails"} if secret in text}


def test_an_error_report_says_where_it_failed_and_holds_no_secret(failing: Checkout, receiver: Receiver) -> None:
    failing.environment["SENTRY_DSN"] = f"http://key@{receiver.address}/1"

    cookies = fail(failing)

    until(lambda: len(receiver.received) == 2)
    failing.end()
    web, worker = sorted(receiver.received, key=lambda each: "read_page" in each or "in provision" in each)
    for word in ("RuntimeError", "IntegrityError", "signup/views/form.py", '"request_id"', '"transaction":"/"'):
        assert word in web
    assert '"function":"provision"' in worker
    assert leaked(receiver.said, cookies) == set()
    assert len(receiver.received) == 2


@pytest.mark.long
def test_a_trace_says_where_it_failed_and_holds_no_secret(failing: Checkout, receiver: Receiver) -> None:
    failing.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{receiver.address}"
    failing.environment["OTEL_SERVICE_NAME"] = "our-page"
    failing.environment["OTEL_BSP_SCHEDULE_DELAY"] = "100"

    cookies = fail(failing)

    until(lambda: "POST /" in receiver.said and "provision" in receiver.said)
    failing.end()
    for word in ("/v1/traces", "our-page", "http.route", "RuntimeError", "signup/views/form.py", "services/workers.py"):
        assert word in receiver.said
    assert leaked(receiver.said, cookies) == set()


@pytest.mark.long
def test_the_log_has_what_the_report_leaves_out(failing: Checkout, receiver: Receiver) -> None:
    """Otherwise, the tests above would pass because nothing happened."""
    with pytest.raises(urllib.error.HTTPError):
        serve(failing).open("/", TYPED | {"username": "anna-fails"})

    log = failing.directory / "log-0"
    until(lambda: TYPED["phone"] in log.read_text())


@pytest.mark.long
def test_a_worker_ends_in_time_even_if_nobody_answers(failing: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        failing.environment |= {
            "SENTRY_DSN": f"http://key@{address}/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
        }
        serve(failing).open("/", TYPED)
        worker = failing.start("manage.py", "provision")
        worker.find("job failed")

        worker.process.terminate()

        assert worker.process.wait(PATIENCE) == 0  # The watchdog would have ended it with 1.
