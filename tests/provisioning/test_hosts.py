"""The address of links that no request leads to: in notices, in emails to staff, and from commands."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from provisioning.hosts import main_origin

HOST = "signup.example.com"


@pytest.mark.parametrize(
    ("allowed", "trusted", "debug", "origin"),
    [
        ([HOST], [], False, f"https://{HOST}"),
        ([".example.com", "*", HOST, "other.example.com"], [], False, f"https://{HOST}"),
        ([HOST], ["https://www.example.com", f"https://{HOST}:8443"], False, f"https://{HOST}:8443"),
        ([HOST], ["https://other.example.com:8443", f"https://*.{HOST}"], False, f"https://{HOST}"),
        (["127.0.0.1", "localhost"], [], True, "http://127.0.0.1:8000"),
        (["127.0.0.1", "localhost"], ["http://127.0.0.1:8001"], True, "http://127.0.0.1:8001"),
        (["[::1]"], ["http://[::1]:8001"], True, "http://[::1]:8001"),
        ([], [], False, "https://localhost"),
    ],
)
def test_links_lead_to_the_first_named_host_as_it_is_reached(
    settings: Settings, allowed: list[str], trusted: list[str], debug: bool, origin: str
) -> None:
    settings.ALLOWED_HOSTS, settings.CSRF_TRUSTED_ORIGINS, settings.DEBUG = allowed, trusted, debug
    assert main_origin() == origin
