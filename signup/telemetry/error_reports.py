"""Reports of unexpected exceptions to Sentry: their types, and where they were raised, without any value.

An exception's message often repeats values, such as the row that a database refused. It is in the log, which stays
here; the report has the ID of the request to find it by.
"""

from __future__ import annotations

import logging
from typing import Any

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.types import Event, Hint

from signup.logs import request_id
from signup.telemetry import route_of

MAX_EXIT_DELAY = 2.0
"""Seconds that the last reports may delay a process's end."""
KEPT_FIELDS = ("event_id", "timestamp", "level", "platform", "logger", "release", "environment", "server_name", "sdk")
KEPT_OF_FRAMES = (
    "filename",
    "abs_path",
    "function",
    "module",
    "lineno",
    "pre_context",
    "context_line",
    "post_context",
    "in_app",
)


def start() -> None:
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=settings.VERSION,
        before_send=keep_harmless,
        # Without the integrations of Django and HTTP, nothing of requests and calls is collected, or added to them.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR, sentry_logs_level=None),
            ExcepthookIntegration(),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda pending, timeout: None),
        ],
        include_local_variables=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        propagate_traces=False,
        auto_session_tracking=False,
        send_client_reports=False,
        enable_metrics=False,
        spotlight=False,
        shutdown_timeout=MAX_EXIT_DELAY,
    )


def keep_harmless(event: Event, hint: Hint) -> Event | None:
    """Return a report with only what is known to be harmless. None if it's about no exception, or a bad request."""
    record = hint.get("log_record")
    exceptions = event.get("exception", {}).get("values")
    if not exceptions or getattr(record, "status_code", 500) < 500:
        return None
    kept: dict[str, Any] = {name: value for name, value in event.items() if name in KEPT_FIELDS}
    kept["exception"] = {"values": [_without_values(each) for each in exceptions]}
    kept["tags"] = {"request_id": request_id.get()} if request_id.get() else {}
    kept["transaction"] = route_of(getattr(record, "request", None))
    return kept  # type: ignore[return-value]


def _without_values(exception: dict[str, Any]) -> dict[str, Any]:
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    return {
        "type": exception.get("type"),
        "module": exception.get("module"),
        "stacktrace": {"frames": [{name: frame[name] for name in KEPT_OF_FRAMES if name in frame} for frame in frames]},
    }
