"""Weak passwords: those that are easy to guess.

A customer is warned but can keep one: Constant Contact accepts them, and only its own rules are binding.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import cache
from itertools import islice
from pathlib import Path

from django.contrib.auth import password_validation

GUESSED_FROM = ("username", "email", "organization_name", "first_name", "last_name")
"""Properties of the customer that an attacker would try first."""
MIN_NAME_LENGTH = 4
"""Characters. Shorter names occur in many good passwords by chance."""
HINTED = 300
"""How many common passwords the page contains: 2 KB, enough for those that most people choose."""


def is_weak(password: str, values: Mapping[str, object]) -> bool:
    """Whether it is all digits, a common password, or made from the customer's properties."""
    return (
        password.isdigit()
        or len(set(password)) <= 2
        or password.lower().strip() in _common()
        or any(is_made_of(password, str(values.get(name) or "")) for name in GUESSED_FROM)
    )


def hints(min_length: int) -> dict[str, str]:
    """Return HTML attributes with which the page's script can warn like `is_weak` while a password is typed.

    A password never leaves the browser before the form is sent, so the page contains the most common passwords. The
    others are found when the form is sent.
    """
    common = (word for word in _common() if len(word) >= min_length and not word.isdigit())
    return {
        "data-common": " ".join(islice(common, HINTED)),
        "data-guessed-from": " ".join(GUESSED_FROM),
        "data-shortest": str(MIN_NAME_LENGTH),
    }


def is_made_of(password: str, value: str) -> bool:
    """Whether the password is little more than this value."""
    word, known = _plain(password), _plain(value.partition("@")[0])
    if len(known) < MIN_NAME_LENGTH:
        return False
    return (known in word and len(word) - len(known) < MIN_NAME_LENGTH) or (
        len(word) >= MIN_NAME_LENGTH and word in known
    )


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


@cache
def _common() -> dict[str, None]:
    """Return Django's list of 20,000 common passwords, the most common ones first."""
    path = Path(password_validation.__file__).with_name("common-passwords.txt.gz")
    with gzip.open(path, "rt", encoding="utf-8") as words:
        return dict.fromkeys(word.strip() for word in words)
