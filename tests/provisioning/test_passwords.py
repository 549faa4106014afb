"""Which passwords customers are advised against."""

import pytest

from provisioning import rules
from tests.provisioning.values import SIGN_UP


@pytest.mark.parametrize(
    "password",
    [
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
    ],
)
def test_a_password_that_is_guessed_first_is_weak(password: str) -> None:
    assert rules.is_weak(password, SIGN_UP)


@pytest.mark.parametrize(
    "password", ["correct-horse", "my-anna-jones-2-horses", "tr0ub4dor.3", "kanna7.lok", "Jo3-x9q"]
)
def test_any_other_is_the_customers_choice(password: str) -> None:
    assert not rules.is_weak(password, SIGN_UP | {"first_name": "Jo"})
