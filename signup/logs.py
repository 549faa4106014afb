"""The log: which lines there are, and how they are written."""

import logging
import re
import time
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger import json

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The ID of the request that is being answered; empty in a worker."""


def configuration(log_format: str) -> dict[str, Any]:
    """Return the setting LOGGING, for lines in the format `text` or `json`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {
                "class": "signup.logs.UtcFormatter",
                "format": "{asctime} {levelname} {name} {message}",
                "style": "{",
            },
            "json": {"()": "signup.logs.JsonFormatter"},
        },
        "filters": {"bad_requests": {"()": "signup.logs.BadRequestFilter"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": log_format, "filters": ["bad_requests"]}
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
            # Below ERROR, urllib3 logs URLs with the API key, and at DEBUG, authlib logs codes and tokens.
            "urllib3": {"level": "ERROR"},
            "authlib": {"level": "WARNING"},
            # Its warnings repeat every few seconds while the collector is away. It sends only copies.
            "opentelemetry": {"level": "ERROR"},
        },
    }


class UtcFormatter(logging.Formatter):
    """Writes times in UTC, whatever the time zone of staff's pages, and messages so that none can forge a line.

    Some messages and exceptions quote what a visitor sent. Control characters are escaped, and further lines indented.
    """

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return "\n    ".join(CONTROL.sub(_escaped, line) for line in super().format(record).split("\n"))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class BadRequestFilter(logging.Filter):
    """Drops the tracebacks of bad requests: they aren't our bugs, and anyone could fill the log with them.

    It also drops the query of the page that a refused form came from, which Django quotes: it may be a customer's link.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        if record.name == "django.security.csrf" and isinstance(record.args, tuple):
            record.args = tuple(str(each).partition("?")[0] for each in record.args)
        return True


class JsonFormatter(json.JsonFormatter):
    """Writes each line as a JSON object, with the ID of its request and the reference of its account."""

    def __init__(self) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
        self.converter = time.gmtime

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        for name in set(log_data) - {"time", "level", "logger", "message", "exc_info"}:
            del log_data[name]  # Django adds the request, which holds what a visitor typed.
        if request := request_id.get():
            log_data["request_id"] = request
        if reference := re.search(r"\breference=([0-9a-f-]{36})", record.getMessage()):
            log_data["reference"] = reference[1]
