"""The form and the stand-in provider judge every value alike, so that what the form takes is not refused later."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from provisioning import rules
from provisioning.sandbox import Server
from signup.forms import SignupForm
from tests.provisioning.sandbox.partner import Partner, partner_of, provider
from tests.provisioning.values import CASES, Case

ENTERED = {
    api: [case for case in cases if case.changes.keys() <= set(rules.CUSTOMER_PROPERTIES)]
    for api, cases in CASES.items()
}
ALLOWED = [(api, case) for api, cases in ENTERED.items() for case in cases if case.repaired or not case.refused]
FORBIDDEN = [(api, case) for api, cases in ENTERED.items() for case in cases if case.refused and not case.repaired]


@pytest.fixture
def partner(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Partner]:
    """One who speaks the API that the test names, and so does everything else."""
    settings.CONSTANT_CONTACT_API = request.param
    with Server(provider()) as server, partner_of(server.url) as partner:
        yield partner


def typed(case: Case) -> dict[str, Any]:
    """The case as a browser sends it: texts, and a ticked box or none."""
    return {name: "on" if value is True else value for name, value in case.values.items() if value is not False}


@pytest.mark.parametrize(("partner", "case"), ALLOWED, ids=str, indirect=["partner"])
def test_what_the_form_takes_the_provider_takes(partner: Partner, case: Case) -> None:
    form = SignupForm(typed(case))

    assert form.errors == {}
    sent = {name: value for name, value in {**case.changes, **case.repaired}.items() if value is not None}
    assert form.cleaned_data.items() >= sent.items()
    response = partner.send({name: value for name, value in form.cleaned_data.items() if value != ""})
    assert response.status == 201, response.json


@pytest.mark.parametrize(("partner", "case"), FORBIDDEN, ids=str, indirect=["partner"])
def test_what_the_form_refuses_the_provider_refuses_for_the_same_property(partner: Partner, case: Case) -> None:
    form = SignupForm(typed(case))

    assert set(form.errors) == case.refused == partner.send(case.values).refused


@pytest.mark.parametrize("api", CASES)
def test_every_property_of_the_form_is_tried_both_ways(api: str) -> None:
    optional = {name for name in rules.CUSTOMER_PROPERTIES if rules.RULES[name].kind is bool}
    allowed = {name for each, case in ALLOWED if each == api for name in case.changes}
    forbidden = {name for each, case in FORBIDDEN if each == api for name in case.refused}

    assert allowed == set(rules.CUSTOMER_PROPERTIES)
    assert forbidden == set(rules.CUSTOMER_PROPERTIES) - optional
