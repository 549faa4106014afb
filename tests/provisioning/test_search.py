import uuid
from typing import Any

import pytest
from django.db import connection, models

from provisioning import search
from provisioning.models import Account

REFERENCE = "9a0c1f9e-1111-4c5d-8f00-0123456789ab"


@pytest.fixture
def wanted(db: None) -> Account:
    account(organization_name="Blue Yoga", first_name="Ben", email="ben@blue.example.com", username="blueyoga")
    return account(
        organization_name="The O'Brien-Élan Bakery",
        first_name="Chloé",
        last_name="Müller",
        email="chloe.mueller+signup@maple.example.com",
        username="elan_bakery.2",
        reference=REFERENCE,
        state="created",
        account_id="cc-4711",
    )


def account(**values: Any) -> Account:
    return Account.objects.create(submission=uuid.uuid4(), **{"state": "queued", "country_code": "US"} | values)


@pytest.mark.parametrize(
    "text",
    [
        "bakery",
        "BAKERY",
        "bak",
        "the bakery",
        "bakery chl",
        "o'brien",
        "brien",
        "élan",
        "ÉLAN",
        "müller",
        "chloe.mueller+signup@maple.example.com",
        "maple.example",
        "Chloe.Mueller+Signup@Maple.example.com bakery",
        "chloe.mueller+signup@maple",
        "@maple",
        "elan_bakery",
        "elan_bakery.2",
        "cc-4711",
        "4711",
        REFERENCE,
        REFERENCE.upper(),
        REFERENCE.replace("-", ""),
        REFERENCE[:8],
        f" {REFERENCE} ",
    ],
)
def test_an_account_is_found_by_the_beginning_of_its_words(wanted: Account, text: str) -> None:
    assert list(search.matching(Account.objects.all(), text)) == [wanted]


@pytest.mark.parametrize(
    "text",
    [
        "akery",
        "mueller+signup@maple.example.com",
        "ben@blue.example.com bakery",
        "bakery yoga",
        "mapleexample",
        "@",
        "%",
        "'",
        '"',
        "bakery\x00nothing",
        "9a0c1f9f",
        "🙈",
        "a" * 5000,
        "& |",
        "NEAR(x",
    ],
)
def test_a_search_without_a_match_finds_nothing_and_does_not_fail(wanted: Account, text: str) -> None:
    assert list(search.matching(Account.objects.all(), text)) == []


def test_search_follows_corrections_and_deletions(wanted: Account) -> None:
    Account.objects.filter(pk=wanted.pk).update(organization_name="Maple Roastery")
    assert search.matching(Account.objects.all(), "roastery").exists()
    assert not search.matching(Account.objects.filter(username=wanted.username), "brien").exists()
    wanted.delete()
    assert not search.matching(Account.objects.all(), "roastery").exists()


@pytest.mark.django_db(transaction=True)
def test_the_search_survives_an_altered_table(wanted: Account) -> None:
    """SQLite loses triggers when a migration alters the table, and PostgreSQL may refuse; migrating restores them."""
    old = Account._meta.get_field("username")
    new = models.CharField(max_length=99)
    new.set_attributes_from_name("username")
    new.model = Account
    with connection.schema_editor() as editor:
        editor.alter_field(Account, old, new)
    search.prepare()
    account(organization_name="Later Roastery", username="later")
    assert search.matching(Account.objects.all(), "later").exists()
    assert search.matching(Account.objects.all(), "bakery").exists()
    with connection.schema_editor() as editor:
        editor.alter_field(Account, new, old)
    search.prepare()


def test_a_search_can_be_limited_to_the_newest(wanted: Account) -> None:
    for name in "abc":
        newest = account(organization_name="Bakery", username=name)
    found = search.matching(Account.objects.order_by("-submitted_at", "-pk"), "bakery", newest=1)
    assert found.first() == newest
    assert search.matching(Account.objects.all(), "bakery").count() == 4


def test_preparing_twice_does_nothing(wanted: Account) -> None:
    search.prepare()
    search.prepare()
    assert search.matching(Account.objects.all(), "bakery").count() == 1
