"""The form accepts what the provider accepts, normalizes what it can, and refuses the rest for the same property.

`tests.provisioning.values` lists by hand what the provider accepts. `tests.provisioning.sandbox.test_values` checks the
sandbox against the same lists.
"""

from typing import Any

import pytest

from provisioning import rules
from signup.forms import SignupForm
from tests.provisioning.values import CASES, Case

ENTERED = {
    api: [case for case in cases if case.changes.keys() <= set(rules.CUSTOMER_PROPERTIES)]
    for api, cases in CASES.items()
}
ALLOWED = [(api, case) for api, cases in ENTERED.items() for case in cases if case.repaired or not case.refused]
FORBIDDEN = [(api, case) for api, cases in ENTERED.items() for case in cases if case.refused and not case.repaired]


def typed(case: Case) -> dict[str, Any]:
    """Return the case as a browser sends it: strings, and nothing for an empty checkbox. Insists on weak passwords."""
    sent = {name: "on" if value is True else value for name, value in case.values.items() if value is not False}
    return sent | {"insist": "yes"}


@pytest.mark.parametrize(("api", "case"), ALLOWED, ids=str, indirect=["api"])
def test_the_form_accepts_what_the_provider_accepts_and_corrects_the_rest(api: str, case: Case) -> None:
    form = SignupForm(typed(case))

    assert form.errors == {}
    sent = {name: value for name, value in {**case.changes, **case.repaired}.items() if value is not None}
    assert form.cleaned_data.items() >= sent.items()


@pytest.mark.parametrize(("api", "case"), FORBIDDEN, ids=str, indirect=["api"])
def test_the_provider_refuses_what_the_form_refuses(api: str, case: Case) -> None:
    assert set(SignupForm(typed(case)).errors) == case.refused


@pytest.mark.parametrize("api", CASES)
def test_every_property_of_the_form_is_tried_both_ways(api: str) -> None:
    optional = {name for name in rules.CUSTOMER_PROPERTIES if rules.RULES[name].kind is bool}
    allowed = {name for each, case in ALLOWED if each == api for name in case.changes}
    forbidden = {name for each, case in FORBIDDEN if each == api for name in case.refused}

    assert allowed == set(rules.CUSTOMER_PROPERTIES)
    assert forbidden == set(rules.CUSTOMER_PROPERTIES) - optional
