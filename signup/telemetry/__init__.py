"""Error reports to Sentry and traces by OpenTelemetry, each only if it is set up and its packages are installed.

Both send only what is known to hold no secrets and no personal data: what failed and where, never with which values.
Nothing of third parties is instrumented, because its URLs, headers, and SQL would hold them.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

PACKAGES = {"SENTRY_DSN": ("sentry_sdk", "sentry"), "OTEL_EXPORTER_OTLP_ENDPOINT": ("opentelemetry", "opentelemetry")}
"""Setting that turns it on → its package, and the extra in pyproject.toml."""


def start() -> None:
    """Start what is set up. A system check reports missing packages."""
    if is_on("SENTRY_DSN"):
        from signup.telemetry import error_reports

        error_reports.start()
    if is_on("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from signup.telemetry import traces

        traces.start()


def trace_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: trace requests, if that is set up."""
    if not is_on("OTEL_EXPORTER_OTLP_ENDPOINT"):
        raise MiddlewareNotUsed
    from signup.telemetry import traces

    return traces.trace_requests(get_response)


def is_on(setting: str) -> bool:
    return bool(getattr(settings, setting)) and setting not in missing()


def missing() -> Iterator[str]:
    """Return the settings that are set, but whose packages are not installed."""
    return (name for name, (package, _extra) in PACKAGES.items() if getattr(settings, name) and not find_spec(package))


def route_of(request: HttpRequest | None) -> str:
    """Return the pattern of a request's path: the path itself may hold a token."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match else ""


def place_of(error: BaseException) -> str:
    """Return where an exception was raised, without its message, which may hold values."""
    return "".join(traceback.format_tb(error.__traceback__))
