"""Traces by OpenTelemetry: one span for each request and for each job of a worker, sent by OTLP over HTTP.

A span has a route, a status, a duration, and what failed where. It has no address, header, query, or value. Our
provider is not OpenTelemetry's global one, so nothing else can add spans.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from provisioning.signals import worked
from signup.logs import request_id
from signup.telemetry import place_of, route_of

EXPORT_TIMEOUT = 2.0
"""Seconds that sending a batch of spans may take, and so about delay a process's end."""
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_provider = TracerProvider(
    resource=Resource({SERVICE_NAME: "constant-contact-signup", SERVICE_VERSION: settings.VERSION}).merge(
        OTELResourceDetector().detect()  # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
    )
)
_tracer = _provider.get_tracer("signup", settings.VERSION)


def start() -> None:
    endpoint = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces"
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT)))
    worked.connect(trace_job)
    got_request_exception.connect(note_failure)


def trace_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Record a span for each request."""

    def answer(request: HttpRequest) -> HttpResponse:
        started = time.time_ns()
        response = get_response(request)
        method = request.method if request.method in METHODS else "_OTHER"
        attributes = {
            "http.request.method": method,
            "http.route": route_of(request),
            "http.response.status_code": response.status_code,
            "request_id": request_id.get(),
        }
        _record(f"{method} {route_of(request)}".strip(), SpanKind.SERVER, started, attributes, failure_of(request))
        return response

    return answer


def note_failure(request: HttpRequest, **_signal: Any) -> None:
    """Keep the exception with its request, until the request is answered."""
    request.failure = sys.exc_info()[1]  # type: ignore[attr-defined]


def failure_of(request: HttpRequest) -> BaseException | None:
    """Return the exception that the view raised; None if it raised none that Django didn't handle."""
    return getattr(request, "failure", None)


def trace_job(job: str, started: int, error: BaseException | None, **_signal: Any) -> None:
    _record(job, SpanKind.CLIENT, started, {}, error)


def _record(name: str, kind: SpanKind, started: int, attributes: dict[str, Any], error: BaseException | None) -> None:
    span = _tracer.start_span(name, kind=kind, start_time=started, attributes=attributes)
    if error:
        # Not `record_exception`, which adds the message.
        span.add_event(
            "exception", {"exception.type": type(error).__qualname__, "exception.stacktrace": place_of(error)}
        )
        span.set_status(Status(StatusCode.ERROR))
    span.end()
