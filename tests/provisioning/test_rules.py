"""The rules as data. What they allow and forbid goes through form and stand-in in `tests/signup/test_agreement.py`."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from provisioning import rules
from provisioning.models import Account
from provisioning.rules import RULES, Rule

ACME = {
    "username": "acme",
    "password": "secret.1",
    "organization_name": "Acme",
    "first_name": "Ann",
    "last_name": "Lee",
    "email": "ann@example.com",
    "phone": "555-5555",
    "country_code": "US",
    "state_code": "TX",
}


def problems(values: Mapping[str, object]) -> dict[str, list[str]]:
    """Property → codes of what is wrong with it."""
    with pytest.raises(ValidationError) as raised:
        rules.clean(values)
    return {name: [str(error.code) for error in errors] for name, errors in raised.value.error_dict.items()}


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
def test_an_account_has_a_column_for_what_customers_enter(name: str) -> None:
    column: Any = Account._meta.get_field(name)
    if RULES[name].kind is str and not RULES[name].is_secret:
        assert column.max_length == RULES[name].max_length


def test_a_whole_account_is_cleaned_at_once() -> None:
    assert (
        rules.clean(ACME | {"first_name": "  Ann ", "surprise": 1})
        == {name: "" if rule.kind is str else False for name, rule in RULES.items()} | ACME
    )


def test_every_problem_of_every_property_is_told_at_once() -> None:
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
def test_a_state_is_demanded_for_two_countries_and_dropped_for_the_others(
    country: str, state: str, code: str | None
) -> None:
    values = ACME | {"country_code": country, "state_code": state}
    if code:
        assert problems(values) == {"state_code": [code]}
    else:
        assert rules.clean(values)["state_code"] == (state.strip() if country != "GB" else "")


def test_there_are_all_states_provinces_and_countries() -> None:
    assert len(rules.states("US")) == 50 + 1 + 5 + 3  # with DC, the territories, and the armed forces
    assert len(rules.states("CA")) == 13
    assert rules.states("FR") == {}
    assert len(RULES["country_code"].choices()) == 249


def test_a_correction_is_judged_alone_but_country_and_state_together() -> None:
    assert rules.clean(ACME | {"email": "new@example.com"}, only={"email"}) == {"email": "new@example.com"}
    assert rules.clean(ACME | {"state_code": "CA"}, only={"state_code"}) == {"state_code": "CA"}
    with pytest.raises(ValidationError) as raised:
        rules.clean(ACME | {"country_code": "CA"}, only={"country_code"})
    assert raised.value.error_dict.keys() == {"state_code"}


@pytest.mark.parametrize("value", [True, 7, [], {}, ["a"], b"a"])
def test_only_text_is_text(value: object) -> None:
    assert problems(ACME | {"username": value}) == {"username": ["type"]}


@pytest.mark.parametrize("value", ["true", "on", 1, 0, []])
def test_only_yes_and_no_are_answers(value: object) -> None:
    assert problems(ACME | {"gdpr_opt_out": value}) == {"gdpr_opt_out": ["type"]}


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u200b", "\ufeff", None])
def test_what_cannot_be_seen_is_no_value(blank: str | None) -> None:
    assert problems(ACME | {"first_name": blank}) == {"first_name": ["required"]}


@pytest.mark.parametrize("break_", ["\n", "\r", "\x0b", "\x00", "\u2028", "\u2029", "\x85", "\u202e", "\uffff"])
@pytest.mark.parametrize("name", [n for n in ACME if n not in ("country_code", "state_code")])
def test_nothing_that_cannot_be_seen_gets_through(name: str, break_: str) -> None:
    value = ACME[name]
    assert name in problems(ACME | {name: value[:2] + break_ + value[2:]})


def test_a_line_break_at_the_end_of_a_password_is_not_swallowed() -> None:
    assert "password" in problems(ACME | {"password": "secret.1\n"})


@pytest.mark.parametrize("name", ["Zoë", "Fa\u200ctima", "O'Neill", "👩\u200d💻", "Nguyễn Văn A", "山田"])
def test_names_are_taken_as_people_write_them(name: str) -> None:
    assert rules.clean(ACME | {"first_name": name})["first_name"] == name


def test_an_email_address_has_a_domain_of_the_internet() -> None:
    assert problems(ACME | {"email": "ann@localhost"}) == {"email": ["email"]}


def test_in_test_mode_only_the_vendors_test_domain_is_accepted(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_TEST_ACCOUNTS = True
    assert problems(ACME) == {"email": ["domain"]}
    assert problems(ACME | {"email": "a@sub.nullmailer.com"}) == {"email": ["domain"]}
    assert rules.clean(ACME | {"email": "Ann@NullMailer.com"})["email"] == "Ann@NullMailer.com"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_hints_to_the_browser_say_what_the_rule_says(rule: Rule) -> None:
    hints = rule.attributes()
    assert hints.get("maxlength", str(rule.max_length)) == str(rule.max_length)
    if "pattern" in hints:
        assert re.fullmatch(hints["pattern"], "abc.1-x_@y")
        assert not re.fullmatch(hints["pattern"], "a!")


def test_hints_let_phones_and_password_managers_help() -> None:
    assert RULES["email"].attributes()["inputmode"] == "email"
    assert RULES["username"].attributes()["autocapitalize"] == "none"
    assert RULES["password"].attributes()["autocomplete"] == "new-password"
    assert RULES["password"].attributes()["minlength"] == "6"
    assert "maxlength" not in RULES["country_code"].attributes()


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


def test_a_new_password_is_held_against_the_user_name_that_stays(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    with pytest.raises(ValidationError):
        rules.clean(ACME | {"username": "acme-inc", "password": "acme-inc 1"}, only={"password"})


def test_partners_can_ask_for_longer_values_but_not_for_shorter_ones(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_MINIMUM_LENGTHS = {"username": 6, "password": 3}
    assert problems(ACME) == {"username": ["min_length"]}
    assert rules.active()["username"].attributes()["minlength"] == "6"
    assert "At least 6 characters" in rules.active()["password"].help()
    assert rules.active()["password"].min_length == 6
