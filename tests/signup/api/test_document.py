"""openapi.json says what the API does, and is made from the rules in force."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from jsonschema import Draft202012Validator, ValidationError
from pytest_django import Settings

from provisioning import rules
from provisioning.models import Account
from signup.api import document, urls
from signup.api.problems import CODES
from tests.signup.accounts import account
from tests.signup.api.partner import SIGNUPS, Partner

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DOCUMENT = "/api/v1/openapi.json"


def validator(name: str) -> Draft202012Validator:
    whole = Client().get(DOCUMENT).json()
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": whole["components"]})


def test_everybody_may_read_it() -> None:
    answer = Client().get(DOCUMENT)

    assert answer.status_code == 200
    assert answer.json()["openapi"] == "3.1.0"
    assert Client().post(DOCUMENT).status_code == 405


def test_it_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Client().get(DOCUMENT).json()
    monkeypatch.setattr(document, "build", lambda: pytest.fail("It takes long."))

    assert Client().get(DOCUMENT).json() == first


def test_its_schemas_are_schemas() -> None:
    for schema in document.build()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_has_every_address() -> None:
    described = {path.removeprefix("/api/") for path in document.build()["paths"]}
    served = {
        str(each.pattern).replace("<uuid:reference>", "{reference}")
        for each in urls.urlpatterns
        if isinstance(each, URLPattern)
    }

    assert described == served - {"", "<path:rest>", "v1/openapi.json"}


def test_it_names_every_problem() -> None:
    told = str(document.build()["paths"])

    assert [code for code in CODES if f"`{code}`" not in told] == []


@pytest.mark.parametrize("api", ["v2", "v3"], indirect=True)
def test_its_example_is_a_sign_up(api: str, partner: Partner, settings: Settings) -> None:
    example = document.build()["components"]["schemas"]["NewSignup"]["examples"][0]

    validator("NewSignup").validate(example)
    assert partner.send(SIGNUPS, example, **{"Idempotency-Key": "1"}).status_code == 202


def test_its_example_with_single_sign_on_is_a_sign_up(partner: Partner, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    example = document.build()["components"]["schemas"]["NewSignup"]["examples"][0]

    assert "password" not in example
    validator("NewSignup").validate(example)
    assert partner.send(SIGNUPS, example, **{"Idempotency-Key": "1"}).status_code == 202


@pytest.mark.once
@pytest.mark.parametrize("api", ["v2", "v3"], indirect=True)
@pytest.mark.parametrize("name", rules.CUSTOMER_PROPERTIES)
def test_its_limits_are_those_of_the_rules(api: str, name: str) -> None:
    rule, schema = rules.active()[name], document.build()["components"]["schemas"]["NewSignup"]

    told = schema["properties"][name]
    assert (name in schema["required"]) == rule.required
    if rule.codes:
        assert set(told["enum"]) - {"", None} == rule.codes
    elif rule.kind is str:
        assert told["maxLength"] == rule.max_length
        assert told.get("minLength", 1) == (rule.min_length if rule.required else 1)


def test_stricter_settings_are_in_it(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_MINIMUM_LENGTHS = {"password": 20}

    assert document.build()["components"]["schemas"]["NewSignup"]["properties"]["password"]["minLength"] == 20


@pytest.mark.parametrize("state", Account.State)
def test_answers_are_as_described(partner: Partner, state: str) -> None:
    of = account(state, {"username": ""} if state == "rejected" else None, outcome="taken")

    validator("SignupInFull").validate(partner.get(f"{SIGNUPS}/{of.reference}").json())
    validator("Page").validate(partner.get(SIGNUPS).json())
    validator("Problem").validate(partner.sign_up(username=of.username, email="anna").json())


def test_a_description_is_not_so_loose_that_anything_fits(partner: Partner) -> None:
    answer: Any = partner.get(SIGNUPS).json()

    for name in ("SignupInFull", "Problem"):
        with pytest.raises(ValidationError):
            validator(name).validate(answer)
