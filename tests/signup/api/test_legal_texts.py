"""Legal texts in the API: the partner's page shows them, and says which ones the customer has accepted."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup.models import Brand
from tests.signup.api.partner import Partner, errors
from tests.signup.legal.texts import published

pytestmark = pytest.mark.django_db

TEXTS = "/api/v1/legal-texts"


@pytest.fixture
def brand(settings: Settings) -> Brand:
    settings.ALLOWED_HOSTS = ["testserver", "alder.example.com"]
    return Brand.objects.create(name="Alder", host="alder.example.com")


def test_the_texts_in_force_are_listed_in_the_customers_language(brand: Brand) -> None:
    published(brand, "terms", "1")
    terms, french = published(brand, "terms", "2"), published(brand, "terms", "2", "fr")
    published(Brand.objects.create(name="Others", host=""), "privacy")
    partner = Partner(brand=brand)

    (shown,) = partner.get(TEXTS).json()["items"]
    assert shown == {
        "id": terms.pk,
        "kind": "terms",
        "version": "2",
        "language": "",
        "url": f"http://alder.example.com{terms.address}",
        "sha256": terms.sha256,
        "is_required": True,
    }
    assert [each["id"] for each in partner.get(TEXTS, language="fr").json()["items"]] == [french.pk]
    for wrong in ({"language": "xx"}, {"language": ["en", "fr"]}, {"lang": "en"}):
        assert partner.get(TEXTS, **wrong).status_code == 400


def test_what_the_customer_accepted_is_stored_and_shown(brand: Brand) -> None:
    terms, marketing = published(brand, "terms"), published(brand, "marketing", language="fr")

    answer = Partner(brand=brand).sign_up(agreements=[terms.pk, marketing.pk])

    shown = answer.json()["agreements"]
    assert answer.status_code == 202
    assert [(each["id"], each["kind"], each["version"], each["language"]) for each in shown] == [
        (terms.pk, "terms", "1", ""),
        (marketing.pk, "marketing", "1", "fr"),
    ]
    assert [each.text for each in Account.objects.get().agreements.all()] == [terms, marketing]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "required"),
        ([], "required"),
        ([0], "changed"),
        ("1", "type"),
        (["1"], "type"),
        ([True], "type"),
        ([1.5], "type"),
        ([10**30], "changed"),
    ],
)
def test_nobody_signs_up_without_what_is_required(brand: Brand, given: Any, code: str) -> None:
    published(brand, "terms")

    answer = Partner(brand=brand).sign_up(agreements=given, email="anna")

    assert (answer.status_code, errors(answer)) == (422, {"agreements": code, "email": "email"})
    assert not Account.objects.exists()


def test_a_text_of_another_brand_is_not_accepted(brand: Brand) -> None:
    other = published(Brand.objects.create(name="Others", host=""), "marketing")

    assert errors(Partner(brand=brand).sign_up(agreements=[other.pk])) == {"agreements": "changed"}


def test_what_was_accepted_belongs_to_the_request(brand: Brand) -> None:
    marketing, partner = published(brand, "marketing"), Partner(brand=brand)
    partner.sign_up("order-1")

    assert partner.sign_up("order-1", agreements=[marketing.pk]).json()["code"] == "idempotency_key_reused"


def test_the_same_request_still_works_after_a_text_was_replaced(brand: Brand) -> None:
    terms, partner = published(brand, "terms", "1"), Partner(brand=brand)
    first = partner.sign_up("order-1", agreements=[terms.pk])
    published(brand, "terms", "2")

    assert partner.sign_up("order-1", agreements=[terms.pk]).json() == first.json()


def test_after_erasure_the_versions_are_still_on_record(brand: Brand) -> None:
    terms, partner = published(brand, "terms"), Partner(brand=brand)
    partner.sign_up("order-1", agreements=[terms.pk])

    services.erase(Account.objects.get())

    shown = partner.sign_up("order-1", agreements=[terms.pk]).json()
    assert ([each["id"] for each in shown["agreements"]], shown["email"]) == ([terms.pk], None)
