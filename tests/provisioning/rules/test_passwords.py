"""The passwords that customers are warned about."""

import pytest

from provisioning import rules
from provisioning.rules.passwords import HINTED, hints
from tests.provisioning.values import SIGN_UP

WEAK = [
    "123456",
    "98741230",
    "password1",
    "Qwerty123",
    "aaaaaa",
    "ababab",
    "anna-jones",
    "ANNA-JONES",
    "AnnaJones",
    "annajones1",
    "anna-jones-1.",
    "Annas-Bakery",
    "annas.bakery1",
    "jones99",
]
GOOD = ["correct-horse", "my-anna-jones-2-horses", "tr0ub4dor.3", "kanna7.lok", "Jo3-x9q"]


@pytest.mark.parametrize("password", WEAK)
def test_a_password_that_is_easy_to_guess_is_weak(password: str) -> None:
    assert rules.is_weak(password, SIGN_UP)


@pytest.mark.parametrize("password", GOOD)
def test_any_other_password_is_accepted(password: str) -> None:
    assert not rules.is_weak(password, SIGN_UP | {"first_name": "Jo"})


@pytest.mark.parametrize(("least", "first"), [(6, ["qwerty", "password"]), (8, ["password", "password1"])])
def test_a_browser_gets_the_most_common_passwords_of_enough_length(least: int, first: list[str]) -> None:
    told = hints(least)["data-common"].split()

    assert len(told) == HINTED
    assert told[:2] == first
    assert all(len(word) >= least and rules.is_weak(word, {}) for word in told)
