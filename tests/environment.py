"""The environment that tests run in, set before Django reads it: a pytest plugin, named in pyproject.

Tests see nothing of a developer's own `.env`: an empty value in the environment counts as not given and wins over it.
"""

import os
import re
from pathlib import Path

from cryptography.fernet import Fernet

CANARIES = {
    "CONSTANT_CONTACT_API_KEY": "canary-api-key",
    "CONSTANT_CONTACT_PASSWORD": "canary-partner-password",
}
"""Secrets that must turn up nowhere in clear."""

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
    STAFF_TWO_FACTOR="optional",
    CONSTANT_CONTACT_USERNAME="partner",
    CONSTANT_CONTACT_LIST_HOURS="0",
)
