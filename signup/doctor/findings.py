"""A finding: one thing that was checked, how it is, and what to do about it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report. None of its texts holds a secret."""

    subject: str
    level: Level
    text: str
    fix: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, fix: str) -> Finding:
    return Finding(subject, Level.WARNING, text, fix)


def failure(subject: str, text: str, fix: str) -> Finding:
    return Finding(subject, Level.FAILURE, text, fix)


def reason(error: ssl.SSLError) -> str:
    """Return why a certificate was not accepted, as an insertion; empty if it isn't known."""
    message = getattr(error, "verify_message", "")
    return f" ({message})" if message else ""
