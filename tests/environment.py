"""A pytest plugin, named in pyproject.toml, that sets the tests' environment before Django reads it.

A developer's own `.env` has no effect on tests: an empty value in the environment takes precedence, and counts as not
set.
"""

import os
import re
from pathlib import Path

from cryptography.fernet import Fernet

CANARIES = {
    "CONSTANT_CONTACT_API_KEY": "canary-api-key",
    "CONSTANT_CONTACT_PASSWORD": "canary-partner-password",
}
"""Secrets that must never appear in plain text."""

_own = Path(__file__).parent.parent / ".env"
if _own.exists():
    for name in re.findall(r"^(\w+)=", _own.read_text(), re.MULTILINE):
        os.environ.setdefault(name, "")

os.environ.update(
    CANARIES,
    DEBUG="false",
    SECRET_KEY="for tests only " + "x" * 50,
    SEALING_KEYS=Fernet.generate_key().decode(),
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    SECURE_SSL_REDIRECT="false",
    ABUSE_PROTECTION="false",
    CONSTANT_CONTACT_USERNAME="partner",
    CONSTANT_CONTACT_LIST_HOURS="0",
)
