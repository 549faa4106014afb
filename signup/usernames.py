"""Usernames to offer instead of a taken one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from anyascii import anyascii
from django.core.exceptions import ValidationError
from django.db.models.functions import Lower
from django.utils.text import slugify

from provisioning import rules
from provisioning.mirror import matching
from provisioning.models import Account, Attempt

OFFERED = 4
NEAR = 2
"""How many of those offered are variants of the wanted username, as long as there are others."""
LOOKED_AT = 60
"""The most candidates of each kind that are checked against known usernames."""


def suggestions(entered: Mapping[str, object]) -> list[str]:
    """Return usernames that the rules allow and that are not known to be taken: variants of the wanted one first."""
    texts = {name: str(value) for name, value in entered.items()}
    near, others = ([*islice(names, LOOKED_AT)] for names in (near_misses(texts), candidates(texts)))
    taken = _known_to_be_taken([*near, *others])
    near, others = ([name for name in names if name not in taken] for names in (near, others))
    return [*dict.fromkeys([*near[:NEAR], *others, *near])][:OFFERED]


def near_misses(entered: Mapping[str, str]) -> Iterator[str]:
    """Yield the wanted username, and then with a number. An email address is used without its domain."""
    wanted = entered.get("username", "").strip().lower().partition("@")[0]
    return _numbered([wanted] if wanted else [])


def candidates(entered: Mapping[str, str]) -> Iterator[str]:
    """Yield usernames made of the other values, the most natural ones first. Some may repeat."""
    organization, first, last, mailbox = (
        slug(entered.get(name, "").partition("@")[0])
        for name in ("organization_name", "first_name", "last_name", "email")
    )
    roots = (organization or mailbox, f"{first}.{last}".strip("."), f"{organization}-{first}".strip("-"))
    return _numbered([root for root in roots if root])


def _numbered(roots: list[str]) -> Iterator[str]:
    """Yield those of the roots that the rules allow, then all of them with 2, and so on."""
    rule = rules.active()["username"]
    for number in ("", *map(str, range(2, 100))):
        for root in roots:
            joint = "-" if number and root[-1].isdigit() else ""
            name = root[: rule.max_length - len(joint + number)] + joint + number
            if _allows(rule, name):
                yield name


def slug(name: str) -> str:
    """Return a name in lowercase ASCII letters, digits, and hyphens; other scripts are romanized.

    Only the server does this. The script in the browser has no library for it and skips names in other scripts.
    """
    return slugify(anyascii(name).replace("'", "")).strip("-_")


def _allows(rule: rules.Rule, name: str) -> bool:
    try:
        return bool(rule.clean(name) == name)
    except ValidationError:
        return False


def _known_to_be_taken(names: list[str]) -> set[str]:
    """Return the names of open accounts, of accounts in the partner's list, and those once refused as taken."""
    return matching.listed(names) | {
        name
        for rows in (Account.objects.not_closed(), Attempt.objects.filter(outcome=Attempt.Outcome.TAKEN))
        for name in rows.annotate(name=Lower("username")).filter(name__in=names).values_list("name", flat=True)
    }
