"""How the admin displays a value, and a sentence within another one."""

from __future__ import annotations


def display_value(value: object) -> str:
    """Return yes or no, the items of a list, or the text of any other value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def lower_first(sentence: str) -> str:
    """Return a sentence as part of another one: "Approved by Ana" as "approved by Ana"."""
    return sentence[:1].lower() + sentence[1:]
