"""A whole account's rules: those in force here, and those that concern several properties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from provisioning.rules.document import APIS, CUSTOMER_PROPERTIES, RULES, WITH_KOSOVO
from provisioning.rules.places import states
from provisioning.rules.rule import Rule

TEST_DOMAIN = "nullmailer.com"
"""The vendor requires this email domain for every test account."""

MIN_WORD_LENGTH = 4
"""A word of the username with at least this many letters must not be in the password."""


def active() -> Mapping[str, Rule]:
    """Return the rules in force: those of the configured API, as tightened by this installation's settings."""
    return _active(
        settings.CONSTANT_CONTACT_API,
        tuple(settings.CONSTANT_CONTACT_MINIMUM_LENGTHS.items()),
        kosovo=settings.CONSTANT_CONTACT_KOSOVO,
        test_accounts=settings.CONSTANT_CONTACT_TEST_ACCOUNTS,
    )


@cache
def _active(
    api: str, minimum_lengths: tuple[tuple[str, int], ...], *, kosovo: bool, test_accounts: bool
) -> Mapping[str, Rule]:
    rules = dict(APIS[api])
    for name, length in minimum_lengths:
        rules[name] = replace(rules[name], min_length=max(length, rules[name].min_length))
    if kosovo:
        rules["country_code"] = WITH_KOSOVO
    if test_accounts:
        rules["email"] = replace(
            rules["email"],
            domain=TEST_DOMAIN,
            help_text=_("This page is in test mode: only addresses at nullmailer.com are accepted."),
        )
    return MappingProxyType(rules)


def customer_properties(*, single_sign_on: bool) -> tuple[str, ...]:
    """Return the properties that a customer enters, in the order of the form; no password with single sign-on."""
    return tuple(name for name in CUSTOMER_PROPERTIES if not (single_sign_on and RULES[name].is_secret))


class Cleaned(dict[str, Any]):
    """Properties that `clean` has validated. Don't change them: `clean` accepts them again without a check."""


def clean(values: Mapping[str, object], only: set[str] | None = None) -> Cleaned:
    """Return an account's properties as they are sent. Raises one ValidationError with the problems of each property.

    `only` limits validation to some properties, for a correction; the state is always validated with the country.
    Unknown names in `values` are ignored. A previous result for the same properties is not validated again.
    """
    return values if isinstance(values, Cleaned) and values.keys() == only else _clean(values, only)


def _clean(values: Mapping[str, object], only: set[str] | None) -> Cleaned:
    if only is not None and "country_code" in only:
        only = only | {"state_code"}
    rules = {name: rule for name, rule in active().items() if only is None or name in only}
    cleaned: dict[str, Any] = {}
    problems: dict[str, ValidationError] = {}
    for name, rule in rules.items():
        try:
            cleaned[name] = rule.clean(values.get(name))
        except ValidationError as problem:
            problems[name] = problem
    if "state_code" in cleaned:
        country = cleaned.get("country_code", values.get("country_code"))
        try:
            cleaned["state_code"] = _clean_state(str(country), cleaned["state_code"])
        except ValidationError as problem:
            problems["state_code"] = problem
    for name in cleaned.keys() - problems.keys():
        other = rules[name].must_not_contain
        if other and _contains_part_of(str(values.get(other) or ""), cleaned[name]):
            problems[name] = ValidationError(_PART_OF_USERNAME, code="without")
    if problems:
        raise ValidationError(problems)
    return Cleaned(cleaned)


def _contains_part_of(username: str, password: str) -> bool:
    """Whether the username or one of its words is in the password. v3's guide only says "any part of" the username."""
    words = re.findall(rf"[^\W\d_]{{{MIN_WORD_LENGTH},}}", username)
    return any(part and part.lower() in password.lower() for part in (username, *words))


def _clean_state(country_code: str, state_code: str) -> str:
    """Return a state that exists in the country. Required for US and CA; "Leave blank for non-US/CA countries"."""
    known = states(country_code)
    if not known:
        return ""
    if not state_code:
        raise ValidationError(_MISSING_STATE[country_code], code="required")
    if state_code not in known:
        raise ValidationError(_WRONG_STATE[country_code], code="choice")
    return state_code


_PART_OF_USERNAME = _("Don't use your username, or a word from it, in the password.")
_MISSING_STATE = {"US": _("Choose your state."), "CA": _("Choose your province or territory.")}
_WRONG_STATE = {
    "US": _("Choose a state of the United States."),
    "CA": _("Choose a province or territory of Canada."),
}
