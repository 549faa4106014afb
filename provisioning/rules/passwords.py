"""Which passwords are easy to guess.

That is advice to the customer and no rule: Constant Contact takes them, and its own rules are the only hard ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from django.contrib.auth.password_validation import CommonPasswordValidator

GUESSED_FROM = ("username", "email", "organization_name", "first_name", "last_name")
"""Properties of the customer that an attacker would try first."""
SHORTEST_HINT = 4
"""Characters: shorter names are in many good passwords by chance."""


def is_weak(password: str, values: Mapping[str, object]) -> bool:
    """Whether it is all digits, a common password, or made from the customer's properties."""
    return (
        password.isdigit()
        or len(set(password)) <= 2
        or password.lower().strip() in _common()
        or any(is_made_of(password, str(values.get(name) or "")) for name in GUESSED_FROM)
    )


def is_made_of(password: str, value: str) -> bool:
    """Whether the password is little more than this value."""
    word, known = _plain(password), _plain(value.partition("@")[0])
    if len(known) < SHORTEST_HINT:
        return False
    return (known in word and len(word) - len(known) < SHORTEST_HINT) or (len(word) >= SHORTEST_HINT and word in known)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


@cache
def _common() -> set[str]:
    """20,000 passwords, from Django."""
    known: set[str] = CommonPasswordValidator().passwords
    return known
