"""Countries and states are those of the world, in the order and words of the reader."""

import re

import pytest
from anyascii import anyascii
from django.conf import settings as configuration
from django.utils import translation
from pytest_django import Settings

from provisioning import rules
from provisioning.rules import RULES, places
from tests.provisioning.rules.problems import ACME, problems


def test_all_states_provinces_and_countries_are_offered() -> None:
    assert len(rules.states("US")) == 50 + 1 + 5 + 3 + 3  # DC, the territories, the armed forces, and free associates
    assert len(rules.states("CA")) == 13
    assert rules.states("FR") == {}
    assert len(RULES["country_code"].codes) == 249


@pytest.mark.parametrize("language", dict(configuration.LANGUAGES))
class TestPlaceNames:
    """Where django-countries has a formal name in a language, `places.NAMES` needs a short one."""

    def test_places_are_sorted_by_the_readers_alphabet(self, language: str) -> None:
        with translation.override(language):
            countries = [name for _, name in RULES["country_code"].choices()[2:]]
            by_country = [list(rules.states(country).values()) for country in ("US", "CA")]

        for names in (countries, *by_country):
            assert names == sorted(names, key=anyascii_lower)

    def test_countries_have_short_names_in_natural_order(self, language: str) -> None:
        with translation.override(language):
            names = dict(rules.flatten(RULES["country_code"].choices())).values()

        told_apart = re.compile("[Pp]art|Antil|Royaume|Malv|Keeling|^UK")
        odd = re.compile(r"\(|, (La|État)|Repúblic?a d(e|el) (?!Congo|Dem)|Principado|y[A-Z]")
        assert [name for name in names if odd.search(name) and not told_apart.search(name)] == []

    def test_kosovo_is_offered_if_the_partner_says_so(self, language: str, settings: Settings) -> None:
        assert "country_code" in problems(ACME | {"country_code": "XK"})
        settings.CONSTANT_CONTACT_KOSOVO = True

        assert rules.clean(ACME | {"country_code": "XK"})["country_code"] == "XK"
        with translation.override(language):
            names = [name for _, name in rules.active()["country_code"].choices()]
        assert "Kosovo" in names
        assert names[2:] == sorted(names[2:], key=anyascii_lower)

    def test_typing_uk_selects_the_united_kingdom(self, language: str) -> None:
        """A browser selects the first name in the list that begins with what is typed."""
        with translation.override(language):
            code = next(code for code, name in RULES["country_code"].choices() if name.lower().startswith("uk"))

        assert code == "GB"


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("en", {"US": "United States", "BS": "Bahamas", "NR": "Nauru", "VI": "U.S. Virgin Islands"}),
        (
            "fr",
            {
                "US": "États-Unis",
                "MH": "Îles Marshall",
                "GY": "Guyana",
                "GF": "Guyane française",
                "SZ": "Eswatini",
                "PS": "Palestine",
                "RE": "La Réunion",
            },
        ),
        (
            "es",
            {
                "SZ": "Esuatini",
                "TT": "Trinidad y Tobago",
                "AD": "Andorra",
                "CY": "Chipre",
                "TD": "Chad",
                "DJ": "Yibuti",
            },
        ),
    ],
)
def test_countries_have_the_names_that_customers_know(language: str, names: dict[str, str]) -> None:
    with translation.override(language):
        assert dict(RULES["country_code"].choices()).items() >= names.items()


def test_our_own_names_are_for_existing_countries() -> None:
    assert places.NAMES.keys() <= {*RULES["country_code"].codes, "XK"}
    assert places.STATE_NAMES.keys() <= rules.states("US").keys()


def anyascii_lower(name: str) -> str:
    return anyascii(name).lower()
