"""What staff see while an installation is broken, and the table in docs/operations.md that says what it means."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from tests.checkout import ROOT

DOCUMENT = ROOT / "docs/operations.md"
TABLE = DOCUMENT.read_text().partition("\n## Health\n")[0]
ROWS = re.findall(r"^\| `([^`]+)` \|", TABLE, re.MULTILINE)
SEEN: dict[str, Callable[..., None]] = {}
"""What you see → the test that breaks an installation so that you see it."""


def symptom(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Name what is seen in a test. The table must say so, too."""

    def register(test: Callable[..., None]) -> Callable[..., None]:
        SEEN[text] = test
        return test

    return register


def banner() -> str:
    page = Client()
    page.force_login(User.objects.get_or_create(username="dora", is_staff=True, is_superuser=True)[0])
    return page.get("/admin/").content.decode().replace("&#x27;", "'")


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def not_ready() -> str:
    response = Client().get("/readyz")
    assert response.status_code == 503
    return str(response.json()["reason"])


def refused(why: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = why
    return error
