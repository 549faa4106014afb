"""The API makes the pages' processes no heavier: what only few ask for is imported when they do."""

from __future__ import annotations

import subprocess
import sys

IMPORTED = """
import django, sys
django.setup()
from django.urls import get_resolver
get_resolver().url_patterns
print(*sys.modules)
"""


def test_a_process_that_serves_pages_loads_neither_the_document_nor_a_framework() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()

    assert "signup.api.views" in loaded
    assert not {"signup.api.document", "signup.api.schemas", "jsonschema", "pydantic", "ninja", "rest_framework"} & {
        *loaded
    }
