"""Texts for customers when Constant Contact refuses a value, by its error keys. Staff see its own texts."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.rules.rule import Text

REFUSED = {
    "organization_name": _("Constant Contact does not accept this organization name."),
    "website": _("Constant Contact does not accept this website address."),
    "country_code": _("Constant Contact does not accept this country."),
    "state_code": _("Constant Contact does not accept this state or province."),
    "first_name": _("Constant Contact does not accept this first name."),
    "last_name": _("Constant Contact does not accept this last name."),
    "email": _("Constant Contact does not accept this email address."),
    "phone": _("Constant Contact does not accept this phone number."),
    "username": _("Constant Contact does not accept this username."),
    "password": _("Constant Contact does not accept this password."),
    "gdpr_opt_out": _("Constant Contact does not accept this answer."),
}
"""Property → the statement that it was refused."""

KEYS: dict[str, Text] = {
    "json.field.missing": _("It is missing."),
    "json.min.length.violation": _("It is too short."),
    "json.max.length.violation": _("It is too long."),
    "json.email.invalid": _("Check that it is spelled right, or enter another one."),
    "json.regex.invalid": _("It has characters that are not allowed."),
}
"""Constant Contact's error key → what is wrong. A key without a row adds nothing."""
CHARACTERS: dict[str, Text] = {
    "phone": _("Use only digits, spaces, and + - ( )"),
    "username": rules.RULES["username"].wrong_characters,
    "password": rules.RULES["password"].wrong_characters,
}
"""Property → what to do about `json.regex.invalid`: the characters that Constant Contact is known to accept, which are
v2's. For phone numbers, the rule allows more."""


def explain(name: str, key: str) -> str:
    """Return the error for a refused property, with the reason if the key tells it."""
    why = CHARACTERS.get(name, KEYS[key]) if key == "json.regex.invalid" else KEYS.get(key, "")
    return rules.unbroken(f"{REFUSED[name]} {why}".strip())


def is_explained(name: str, key: str) -> bool:
    """Whether `explain` says which characters to use, whatever our own hint says."""
    return key == "json.regex.invalid" and name in CHARACTERS
