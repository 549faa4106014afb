"""The rules are those of the vendor, and each problem is reported at its property."""

from typing import Any

import pytest
from pytest_django import Settings

from provisioning import rules
from provisioning.models import Account
from provisioning.rules import RULES
from tests.provisioning.rules.problems import ACME, problems


def test_every_property_of_the_vendors_document_has_its_rule() -> None:
    assert {name: rule.max_length for name, rule in RULES.items() if rule.kind is str} == {
        "billing_locale": 5,
        "country_code": 2,
        "email": 80,
        "first_name": 80,
        "last_name": 80,
        "idp_provider": 20,
        "idp_provider_id": 255,
        "organization_name": 80,
        "partner_account_id": 80,
        "password": 80,
        "phone": 25,
        "state_code": 80,
        "username": 50,
        "website": 255,
    }
    assert {name for name, rule in RULES.items() if rule.kind is bool} == {
        "gdpr_opt_out",
        "managed_site_owner",
        "single_billing",
    }
    required = {name for name, rule in RULES.items() if rule.required}
    assert required == ACME.keys() - {"state_code"}


@pytest.mark.parametrize("name", rules.CUSTOMER_PROPERTIES)
def test_an_account_has_a_column_for_each_property_of_customers(name: str) -> None:
    column: Any = Account._meta.get_field(name)
    if RULES[name].kind is str and not RULES[name].is_secret:
        assert column.max_length == RULES[name].max_length


def test_all_properties_of_an_account_are_cleaned_together() -> None:
    assert (
        rules.clean(ACME | {"first_name": "  Ann ", "surprise": 1})
        == {name: "" if rule.kind is str else False for name, rule in RULES.items()} | ACME
    )


def test_every_problem_of_every_property_is_reported_at_once() -> None:
    found = problems({"username": "A B", "email": "x", "country_code": "US"})
    assert found == {
        "username": ["characters"],
        "email": ["email"],
        "state_code": ["required"],
        **{name: ["required"] for name in ("organization_name", "first_name", "last_name", "phone", "password")},
    }


@pytest.mark.parametrize(
    ("country", "state", "code"),
    [
        ("US", "", "required"),
        ("US", "ON", "choice"),
        ("US", "tx", "choice"),
        ("US", "TX\n", None),
        ("US", "DC", None),
        ("US", "PR", None),
        ("US", "AE", None),
        ("CA", "", "required"),
        ("CA", "TX", "choice"),
        ("CA", "NU", None),
        ("GB", "", None),
        ("GB", "TX", None),
    ],
)
def test_a_state_is_required_for_two_countries_and_dropped_for_others(
    country: str, state: str, code: str | None
) -> None:
    values = ACME | {"country_code": country, "state_code": state}
    if code:
        assert problems(values) == {"state_code": [code]}
    else:
        assert rules.clean(values)["state_code"] == (state.strip() if country != "GB" else "")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"username": "anna6"}, {"username": ["min_length"]}),
        ({"username": "Anna+6"}, {}),
        ({"username": "anna 6"}, {"username": ["characters"]}),
        ({"password": "seven77"}, {"password": ["min_length"]}),
        ({"password": "any (printable) character; ünlike in v2"}, {}),
        ({"username": "acme-inc", "password": "my ACME-INC!"}, {"password": ["without"]}),
        ({"username": "acme-inc", "password": "pharmacmes"}, {"password": ["without"]}),
        ({"username": "acme-inc", "password": "incredible"}, {}),
        (
            {"username": "ann.lee+söhne", "password": "SÖHNE & co"},
            {"username": ["characters"], "password": ["without"]},
        ),
        ({"username": "12345678", "password": "0123456789"}, {"password": ["without"]}),
        ({"username": "12345678", "password": "1234 5678"}, {}),
        ({"organization_name": "x" * 51}, {"organization_name": ["max_length"]}),
        ({"first_name": "A", "last_name": "B"}, {"first_name": ["min_length"], "last_name": ["min_length"]}),
        ({"phone": "55555"}, {}),
    ],
)
def test_v3_has_limits_of_its_own(settings: Settings, changes: dict[str, str], found: dict[str, list[str]]) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    values = ACME | {"username": "acme-inc", "password": "long enough"} | changes
    if found:
        assert problems(values) == found
    else:
        assert rules.clean(values).items() >= changes.items()


def test_partners_can_require_longer_values_but_not_shorter_ones(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_MINIMUM_LENGTHS = {"username": 6, "password": 3}
    assert problems(ACME) == {"username": ["min_length"]}
    assert rules.active()["username"].attributes()["minlength"] == "6"
    assert "At least 6 characters" in rules.active()["password"].help()
    assert rules.active()["password"].min_length == 6
