"""Usernames to offer in the place of a taken one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from anyascii import anyascii
from django.core.exceptions import ValidationError
from django.db.models.functions import Lower
from django.utils.text import slugify

from provisioning import rules
from provisioning.models import Account, Attempt

OFFERED = 4
LOOKED_AT = 60
"""For so many candidates at most it is found out whether they are known to be taken."""


def suggestions(entered: Mapping[str, object]) -> list[str]:
    """Usernames that the rules allow and that are not known to be taken."""
    names = list(dict.fromkeys(islice(candidates(entered), LOOKED_AT)))
    taken = _known_to_be_taken(names)
    return [name for name in names if name not in taken][:OFFERED]


def candidates(entered: Mapping[str, object]) -> Iterator[str]:
    """Usernames that the rules allow, made of what was entered; the most natural ones first, some of them twice."""
    rule = rules.active()["username"]
    roots = list(_roots({name: str(value) for name, value in entered.items()}))
    for number in ("", *map(str, range(2, 100))):
        for root in roots:
            joint = "-" if number and root[-1].isdigit() else ""
            name = root[: rule.max_length - len(joint + number)] + joint + number
            if _allows(rule, name):
                yield name


def _roots(entered: Mapping[str, str]) -> Iterator[str]:
    organization, first, last, mailbox = (
        slug(entered.get(name, "").partition("@")[0])
        for name in ("organization_name", "first_name", "last_name", "email")
    )
    wanted = entered.get("username", "").strip().lower()
    yield from filter(
        None, (wanted, organization or mailbox, f"{first}.{last}".strip("."), f"{organization}-{first}".strip("-"))
    )


def slug(name: str) -> str:
    """A name in lowercase ASCII letters, digits and hyphens; letters of other scripts as they are romanized.

    This is the only such rule: a browser has no library for it, and leaves names of other letters to the server.
    """
    return slugify(anyascii(name).replace("'", "")).strip("-_")


def _allows(rule: rules.Rule, name: str) -> bool:
    try:
        return bool(rule.clean(name) == name)
    except ValidationError:
        return False


def _known_to_be_taken(names: list[str]) -> set[str]:
    """Held by a living account of ours, or once refused to anybody as in use."""
    return {
        name
        for rows in (Account.objects.living(), Attempt.objects.filter(outcome=Attempt.Outcome.TAKEN))
        for name in rows.annotate(name=Lower("username")).filter(name__in=names).values_list("name", flat=True)
    }
