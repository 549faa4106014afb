"""Values are validated as documented. `tests.provisioning.values` has the documentation as tables."""

from typing import Any

import pytest
from pytest_django import Settings

from provisioning import rules
from provisioning.rules import RULES
from provisioning.sandbox import Server
from provisioning.sandbox.accounts import Accounts
from tests.provisioning.sandbox.partner import BOTH, Partner
from tests.provisioning.values import CASES, SIGN_UP, Case


@BOTH
@pytest.mark.parametrize("name", RULES)
def test_the_sandbox_accepts_exactly_the_documented_values(
    sandbox: Server, partner: Partner, api: str, name: str
) -> None:
    for case in (case for case in CASES[api] if name in case.changes):
        response = partner.send(case.values)

        if case.refused:
            assert (response.status, response.refused) == (400, case.refused), case
        else:
            assert response.status == 201, (case, response.json)
        if case.repaired:
            assert partner.send(case.values | case.repaired).status == 201, case
        assert bool(sandbox.provider.accounts) == (response.status == 201 or bool(case.repaired)), case
        sandbox.provider._accounts = Accounts()


@pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
def test_the_cases_cover_every_rule(cases: list[Case]) -> None:
    assert {name for case in cases for name in case.changes} == set(RULES)


@BOTH
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.kind is str and not rule.choices()])
def test_the_cases_cover_the_maximum_length_and_one_more(api: str, name: str) -> None:
    """The limits in the table of rules are exactly the documented ones."""
    lengths = {(bool(case.refused), len(case.changes.get(name) or "")) for case in CASES[api]}
    limit = rules.active()[name].max_length
    assert {(False, limit), (True, limit + 1)} <= lengths


@BOTH
@pytest.mark.parametrize("name", RULES)
def test_a_value_of_the_wrong_type_is_refused(partner: Partner, name: str) -> None:
    for value in (None, 7, 1.5, [], {}, ["US"], {"a": 1}, "true" if RULES[name].kind is bool else True):
        response = partner.send(SIGN_UP | {name: value})

        assert (response.status, name in response.refused) == (400, True), value


@BOTH
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if not rule.required])
def test_an_empty_optional_property_is_refused(partner: Partner, name: str) -> None:
    response = partner.send(SIGN_UP | {name: ""})

    assert response.status == 400
    assert name in response.refused


@pytest.mark.parametrize("name", ["organization_name", "first_name", "email", "phone", "website", "username"])
@pytest.mark.parametrize("spelling", [" {}", "{} ", "{}\N{NO-BREAK SPACE}"])
def test_surrounding_spaces_are_refused(partner: Partner, name: str, spelling: str) -> None:
    values = SIGN_UP | {"website": "https://example.com"}

    response = partner.send(values | {name: spelling.format(values[name])})

    assert (response.status, response.refused) == (400, {name})


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"colour": "red"}, {"colour"}),
        ({"Email": "anna@nullmailer.com"}, {"Email"}),
        ({"colour": None, "\ud800": 1}, {"colour", "\ud800"}),
        ({"oauth2_token": "x", "id": "7"}, {"oauth2_token", "id"}),
    ],
)
def test_an_undocumented_property_is_refused(partner: Partner, changes: dict[str, Any], refused: set[str]) -> None:
    response = partner.send(SIGN_UP | changes)

    assert (response.status, response.refused) == (400, refused)
    assert set(response.keys) == {"json.field.invalid"}


@BOTH
@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"idp_provider": "p", "idp_provider_id": "1"}, {"password"}),
        ({"idp_provider": "p", "password": None}, {"idp_provider_id"}),
        ({"idp_provider_id": "1", "password": None}, {"idp_provider"}),
        ({"idp_provider": "p"}, {"password", "idp_provider_id"}),
        ({"country_code": "DE"}, {"state_code"}),
        ({"country_code": "DE", "state_code": "BE"}, {"state_code"}),
        ({"country_code": "CA"}, {"state_code"}),
    ],
)
def test_incompatible_properties_are_refused(partner: Partner, changes: dict[str, Any], refused: set[str]) -> None:
    response = partner.send(Case(changes).values)

    assert (response.status, response.refused) == (400, refused)


def test_all_problems_are_reported_at_once(partner: Partner) -> None:
    response = partner.send({"email": "anna", "username": "Anna!", "phone": "1", "colour": "red"})

    missing = {"organization_name", "first_name", "last_name", "country_code", "password"}
    assert response.refused == {"email", "username", "phone", "colour"} | missing
    assert len(response.json) == 9


def test_in_test_mode_only_the_vendors_test_domain_is_accepted(partner: Partner, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_TEST_ACCOUNTS = True

    assert partner.create("anna", email="anna@example.com").refused == {"email"}
    assert partner.create("anna", email="anna@nullmailer.com").status == 201
