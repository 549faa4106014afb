"""Suggested usernames: natural, allowed by the rules in force, and not known to be taken."""

from itertools import islice

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from pytest_django import Settings

from provisioning import rules
from provisioning.models import Account
from signup.usernames import OFFERED, candidates, near_misses, slug, suggestions
from tests.provisioning.mirror.conftest import entry, read
from tests.signup.accounts import TYPED, account

ENTERED = TYPED | {"username": "anna"}


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("anna", ["anna", "anna2", "anna3"]),
        ("Anna", ["anna", "anna2"]),
        ("anna7", ["anna7", "anna7-2"]),
        ("anna@example.com", ["anna", "anna2"]),
        ("x" * 50, ["x" * 50, "x" * 49 + "2"]),
        ("ännä", []),
        ("", []),
    ],
)
def test_near_misses_are_variations_of_the_wanted_username(wanted: str, first: list[str]) -> None:
    assert list(islice(near_misses({"username": wanted}), len(first) or 1)) == first


@pytest.mark.parametrize(
    ("entered", "first"),
    [
        ({}, ["annas-bakery", "anna.jones", "annas-bakery-anna", "annas-bakery2"]),
        ({"organization_name": "Müller & Söhne"}, ["muller-sohne", "anna.jones", "muller-sohne-anna"]),
        ({"organization_name": "パン屋"}, ["panwu", "anna.jones", "panwu-anna"]),
        ({"organization_name": "★ ☆"}, ["anna", "anna.jones", "anna"]),
        ({"first_name": "Анна", "last_name": "Zoë"}, ["annas-bakery", "anna.zoe", "annas-bakery-anna"]),
    ],
)
def test_candidates_are_made_from_entered_values(entered: dict[str, str], first: list[str]) -> None:
    assert list(islice(candidates(ENTERED | entered), len(first))) == first


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Straßencafé Groß", "strassencafe-gross"),
        ("Ægir & Øystein Þór", "aegir-oystein-thor"),
        ("Łódź Kwiaty", "lodz-kwiaty"),
        ("Пекарня Анны", "pekarnya-anny"),
        ("Αρτοποιείο", "artopoieio"),
        ("Anna\N{RIGHT SINGLE QUOTATION MARK}s Bakery", "annas-bakery"),
        ("L'Été \N{EN DASH} Café", "lete-cafe"),
        ("İstanbul Kahve", "istanbul-kahve"),
        ("_Acme_", "acme"),
        ("★", ""),
    ],
)
def test_names_in_other_scripts_are_romanized(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_a_longer_minimum_gives_longer_usernames(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_MINIMUM_LENGTHS = {"username": 12}

    assert list(islice(candidates(ENTERED), 3)) == ["annas-bakery", "annas-bakery-anna", "annas-bakery2"]
    assert list(near_misses(ENTERED)) == []


@pytest.mark.slow
@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.parametrize("least", [1, 12])
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=50
)
@given(
    entered=some.dictionaries(
        some.sampled_from(["username", "organization_name", "first_name", "last_name", "email"]),
        some.text(max_size=100),
    )
)
def test_every_candidate_is_valid_whatever_was_entered(
    settings: Settings, api: str, least: int, entered: dict[str, str]
) -> None:
    settings.CONSTANT_CONTACT_API = api
    settings.CONSTANT_CONTACT_MINIMUM_LENGTHS = {"username": least}
    rule = rules.active()["username"]

    for name in [*near_misses(entered), *candidates(entered)]:
        try:
            assert rule.clean(name) == name
        except ValidationError as problem:
            pytest.fail(f"{name}: {problem}")


@pytest.mark.django_db
class TestSuggestions:
    def test_exclude_usernames_of_open_accounts(self) -> None:
        account(Account.State.QUEUED, username="annas-bakery")
        account(Account.State.CLOSED, username="anna.jones")

        assert suggestions(ENTERED) == ["anna", "anna2", "anna.jones", "annas-bakery-anna"]

    def test_exclude_usernames_that_were_refused_as_taken(self) -> None:
        account(Account.State.CLOSED, {"username": "Taken."}, outcome="taken", username="anna.jones")
        account(Account.State.CLOSED, {"email": "No."}, outcome="refused", username="annas-bakery")

        assert suggestions(ENTERED) == ["anna", "anna2", "annas-bakery", "annas-bakery-anna"]

    def test_replace_near_misses_that_are_taken(self) -> None:
        for name in ("anna", "anna2", "anna3"):
            account(Account.State.QUEUED, username=name)

        assert suggestions(ENTERED) == ["anna4", "anna5", "annas-bakery", "anna.jones"]

    def test_are_near_misses_if_there_is_nothing_else(self) -> None:
        assert suggestions({"username": "anna"}) == ["anna", "anna2", "anna3", "anna4"]

    def test_exclude_usernames_in_the_partners_list(self) -> None:
        read(entry(username="Annas-Bakery"))

        assert "annas-bakery" not in suggestions(ENTERED)

    def test_are_compared_without_case(self, settings: Settings) -> None:
        settings.CONSTANT_CONTACT_API = "v3"
        account(Account.State.QUEUED, username="Annas-Bakery")

        assert "annas-bakery" not in suggestions(ENTERED)

    def test_are_unique(self) -> None:
        assert len(set(suggestions(TYPED | {"username": "annas-bakery"}))) == OFFERED

    def test_may_be_empty(self) -> None:
        assert suggestions({"organization_name": "★"}) == []
