"""Which passwords are easy to guess.

That is advice to the customer and no rule: Constant Contact takes them, and its own rules are the only hard ones.
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
SHORTEST_HINT = 4
"""Characters: shorter names are in many good passwords by chance."""
HINTED = 300
"""How many of the common passwords a browser is told: 2 KB that hold those most people choose."""


def is_weak(password: str, values: Mapping[str, object]) -> bool:
    """Whether it is all digits, a common password, or made from the customer's properties."""
    return (
        password.isdigit()
        or len(set(password)) <= 2
        or password.lower().strip() in _common()
        or any(is_made_of(password, str(values.get(name) or "")) for name in GUESSED_FROM)
    )


def hints(min_length: int) -> dict[str, str]:
    """Return, as HTML attributes, what a browser needs to warn like `is_weak` while a password is typed.

    A password never leaves the browser before the form is sent, so the browser itself must know what is common. It
    knows the most common passwords only; the others are found when the form is sent.
    """
    common = (word for word in _common() if len(word) >= min_length and not word.isdigit())
    return {
        "data-common": " ".join(islice(common, HINTED)),
        "data-guessed-from": " ".join(GUESSED_FROM),
        "data-shortest": str(SHORTEST_HINT),
    }


def is_made_of(password: str, value: str) -> bool:
    """Whether the password is little more than this value."""
    word, known = _plain(password), _plain(value.partition("@")[0])
    if len(known) < SHORTEST_HINT:
        return False
    return (known in word and len(word) - len(known) < SHORTEST_HINT) or (len(word) >= SHORTEST_HINT and word in known)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


@cache
def _common() -> dict[str, None]:
    """20,000 passwords, from Django, the most common ones first."""
    path = Path(password_validation.__file__).with_name("common-passwords.txt.gz")
    with gzip.open(path, "rt", encoding="utf-8") as words:
        return dict.fromkeys(word.strip() for word in words)
