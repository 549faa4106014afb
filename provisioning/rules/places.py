"""The countries, states, and provinces that a customer can choose from, by the names that customers know."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from django.utils.translation import gettext_lazy as _
from django_countries import countries
from localflavor.ca.ca_provinces import PROVINCE_CHOICES
from localflavor.us.us_states import COFA_STATES, STATE_CHOICES, US_TERRITORIES

from provisioning.rules.rule import Choices, Text, once_per_language

FIRST = ("US", "CA")
"""Countries where most of Constant Contact's customers are."""

KOSOVO = "XK"
"""Not in ISO 3166-1, which reserves this code for its users."""

NAMES: dict[str, Text] = {
    "AD": _("Andorra"),
    "BS": _("Bahamas"),
    "CF": _("Central African Republic"),
    "CY": _("Cyprus"),
    "DJ": _("Djibouti"),
    "FM": _("Micronesia"),
    "GY": _("Guyana"),
    "MH": _("Marshall Islands"),
    "MK": _("North Macedonia"),
    "NR": _("Nauru"),
    "PS": _("Palestine"),
    "RE": _("Réunion"),
    "SA": _("Saudi Arabia"),
    "SJ": _("Svalbard and Jan Mayen"),
    "SZ": _("Eswatini"),
    "TD": _("Chad"),
    "TT": _("Trinidad and Tobago"),
    "US": _("United States"),
    "VA": _("Vatican City"),
    "VG": _("British Virgin Islands"),
    "VI": _("U.S. Virgin Islands"),
    KOSOVO: _("Kosovo"),
}
"""Names to use where django-countries has a formal, inverted or misspelled name in at least one of our languages."""

STATE_NAMES: dict[str, Text] = {"VI": _("U.S. Virgin Islands"), "WV": _("West Virginia"), "HI": _("Hawaii")}
"""The same for localflavor's names of states."""


def country_name(code: str) -> str:
    """Return the country's name in the active language; empty if there is no such country."""
    return str(NAMES.get(code) or countries.name(code))


@once_per_language
def country_choices() -> Choices:
    """Return the countries of ISO 3166-1. The United Kingdom is also listed under UK, for people who type that."""
    names = {code: country_name(code) for code in dict(countries) if code != KOSOVO}
    others = [(code, name) for code, name in names.items() if code not in FIRST]
    others.append(("GB", f"UK ({names['GB']})"))
    return [*((code, names[code]) for code in FIRST), *_alphabetical(others)]


@once_per_language
def country_choices_with_kosovo() -> Choices:
    known = country_choices()
    return [*known[: len(FIRST)], *_alphabetical([*known[len(FIRST) :], (KOSOVO, country_name(KOSOVO))])]


@once_per_language
def _states() -> dict[str, dict[str, str]]:
    american = [*STATE_CHOICES, *US_TERRITORIES, *COFA_STATES]
    named = [(code, str(STATE_NAMES.get(code, name))) for code, name in american]
    canadian = [(code, str(name)) for code, name in PROVINCE_CHOICES]
    return {"US": dict(_alphabetical(named)), "CA": dict(_alphabetical(canadian))}


def states(country_code: str) -> dict[str, str]:
    """Return code → name of the country's states or provinces; empty if addresses there need none.

    For the United States, they are those that the postal service delivers to (USPS Publication 28, appendix B).
    """
    return _states().get(country_code, {})


@once_per_language
def state_choices() -> Choices:
    return [(country_name(country), list(names.items())) for country, names in _states().items()]


def _alphabetical(choices: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sort by name, ignoring accents and case.

    That is the order of dictionaries in English and French, and, for these names, in Spanish, too: it sorts ñ after n,
    but no two names differ only in that.
    """
    return sorted(choices, key=lambda choice: _without_accents(choice[1]))


def _without_accents(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
