"""A password validator that refuses the words that attackers would try first at this installation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from provisioning.rules.passwords import is_made_of

WORDS = ("Constant Contact", "signup", "administrator", "provisioning")
"""Refused besides the partner's own name and the names of the hosts. docs/staff.md lists them."""


class LocalWordsValidator:
    """Refuses passwords that are little more than a local word. For AUTH_PASSWORD_VALIDATORS."""

    def validate(self, password: str, user: Any = None) -> None:
        if any(is_made_of(password, word) for word in _words()):
            raise ValidationError("This password is easy to guess: it contains little more than a name.", code="local")

    def get_help_text(self) -> str:
        names = "the name of this service, your company, or this site"
        return f"Your password can't be just {names}, with a few characters added."


def _words() -> Iterator[str]:
    yield from WORDS
    yield settings.BRAND_NAME
    for host in settings.ALLOWED_HOSTS:
        yield host
        yield from host.split(".")
