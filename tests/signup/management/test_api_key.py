"""`manage.py api_key`: API keys on the command line."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from signup.api import keys
from signup.models import ApiKey, Brand

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("api_key", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_keys_are_created_listed_and_revoked() -> None:
    brand = Brand.objects.create(name="Alder", host="alder.example.com")
    whole = command(
        "create",
        "CRM",
        "--scope",
        "read",
        "--scope",
        "staff",
        "--brand",
        brand.host,
        "--network",
        "::1",
        "--days",
        "90",
    )
    key = keys.find(whole)
    assert key
    assert (key.name, key.scopes, key.brand, key.networks) == ("CRM", ["read", "staff"], brand, "::1")
    assert key.expires_at

    listed = command("list")
    assert key.prefix in listed
    assert "active" in listed
    assert whole not in listed

    assert "revoked" in command("revoke", key.prefix)
    assert keys.find(whole) is None
    assert "already revoked" in command("revoke", whole)


@pytest.mark.parametrize(
    "arguments",
    [
        ["revoke", "ccs_nothing"],
        ["create", "CRM", "--scope", "read", "--brand", "nowhere.example.com"],
        ["create", "CRM", "--scope", "read", "--network", "office"],
        ["create", "CRM", "--scope", "read", "--days", "0"],
        ["create", "x" * 81, "--scope", "read"],
        ["create", "", "--scope", "read"],
    ],
)
def test_mistakes_are_explained(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"\w+ \w+"):
        command(*arguments)
    assert not ApiKey.objects.exists()
