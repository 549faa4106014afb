import uuid
from typing import Any

import pytest
from django.db import connection, models

from provisioning import search, services
from provisioning.models import Account
from provisioning.search import erasure, index
from provisioning.signals import chores

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
        phone="+49 (30) 123456-7 ext. 12",
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
        "t",
        "ba",
        "c m",
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


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"organization_name": "Söhne & Töchter"}, "sohne tochter"),
        ({"organization_name": "Sohne"}, "söhne"),
        ({"first_name": "Łukasz", "last_name": "Świątek"}, "lukasz swiatek"),
        ({"first_name": "ŁUKASZ"}, "łukasz"),
        ({"last_name": "O'Neill"}, "oneill"),
        ({"last_name": "O’Neill"}, "oneill"),  # noqa: RUF001
        ({"last_name": "O’Neill"}, "o'neill"),  # noqa: RUF001
        ({"last_name": "O'Neill"}, "neill"),
        ({"last_name": "Oneill"}, "o'neill"),
        ({"organization_name": "Straße"}, "strasse"),
        ({"organization_name": "ÆRØ"}, "aero"),
        ({"organization_name": "Ｃａｆｅ́"}, "cafe"),  # noqa: RUF001
        ({"first_name": "Борис"}, "борис"),
        ({"organization_name": "ΑΣ"}, "ας"),
        ({"organization_name": "東京パン"}, "東"),
        ({"organization_name": "Pizza🍕Palace"}, "🍕"),
        ({"organization_name": "Pizza🍕Palace"}, "palace"),
        ({"organization_name": "☕️ Corner"}, "☕"),
        ({"organization_name": "Chefs 👩🏽‍🍳"}, "👩‍🍳"),
    ],
)
def test_accents_apostrophes_and_emoji_are_found_as_people_type_them(
    wanted: Account, names: dict[str, str], text: str
) -> None:
    special = account(username="special", **names)
    assert list(search.matching(Account.objects.all(), text)) == [special]


@pytest.mark.parametrize(
    "text",
    [
        "+49 (30) 123456-7",
        "+49301234567",
        "0049 30 1234567",
        "030 1234567",
        "030/123 45 67",
        "1234567",
        "4567",
        "+49 30 12",
        "030 1234567 bakery",
        "bakery 030-1234567",
    ],
)
def test_a_phone_number_is_found_by_its_digits(wanted: Account, text: str) -> None:
    assert list(search.matching(Account.objects.all(), text)) == [wanted]


@pytest.mark.parametrize("text", ["030 1234568", "234567", "+49 40", "12 030 1234567 yoga"])
def test_other_digits_do_not_match_a_phone_number(wanted: Account, text: str) -> None:
    assert list(search.matching(Account.objects.all(), text)) == []


def test_groups_of_digits_are_also_words(wanted: Account) -> None:
    numbered = account(organization_name="Route 66 12 Diner", username="diner")
    assert list(search.matching(Account.objects.all(), "66 12")) == [numbered]
    assert list(search.matching(Account.objects.all(), "12 66")) == [numbered]


def test_a_query_may_be_long(wanted: Account) -> None:
    assert list(search.matching(Account.objects.all(), "bakery " * 1000)) == [wanted]


@pytest.mark.parametrize("text", ["0" * 4000, "9-" * 2000, "a@b.example.com " * 250, "😀" * 1000])
def test_an_endless_query_finds_nothing_and_does_not_fail(wanted: Account, text: str) -> None:
    assert not search.matching(Account.objects.all(), text, newest=1000)


def test_search_follows_corrections_and_deletions(wanted: Account) -> None:
    Account.objects.filter(pk=wanted.pk).update(organization_name="Maple Roastery")
    assert search.matching(Account.objects.all(), "roastery").exists()
    assert not search.matching(Account.objects.filter(username=wanted.username), "brien").exists()
    wanted.delete()
    assert not search.matching(Account.objects.all(), "roastery").exists()


def test_a_corrected_phone_number_replaces_the_old_one(wanted: Account) -> None:
    Account.objects.filter(pk=wanted.pk).update(phone="020 7946 0000")
    assert search.matching(Account.objects.all(), "+44 20 79460000").exists()
    assert not search.matching(Account.objects.all(), "030 1234567").exists()


@pytest.mark.django_db(transaction=True)
def test_the_search_survives_an_altered_table(wanted: Account) -> None:
    """SQLite loses triggers when a migration alters the table, and PostgreSQL may refuse; migrating restores them."""
    old = Account._meta.get_field("username")
    new = models.CharField(max_length=99)
    new.set_attributes_from_name("username")
    new.model = Account
    with connection.schema_editor() as editor:
        editor.alter_field(Account, old, new)
    index.prepare()
    account(organization_name="Later Roastery", username="later")
    assert search.matching(Account.objects.all(), "later").exists()
    assert search.matching(Account.objects.all(), "bakery").exists()
    with connection.schema_editor() as editor:
        editor.alter_field(Account, new, old)
    index.prepare()


def test_a_search_can_be_limited_to_the_newest(wanted: Account) -> None:
    for name in "abc":
        newest = account(organization_name="Bakery", username=name)
    found = search.matching(Account.objects.order_by("-submitted_at", "-pk"), "bakery", newest=1)
    assert found.first() == newest
    assert search.matching(Account.objects.all(), "bakery").count() == 4


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL knows how many rows match a word.")
@pytest.mark.parametrize(("common", "fetches_each"), [(2, False), (3, True)])
def test_sqlite_fetches_each_match_only_if_there_are_few(
    wanted: Account, monkeypatch: pytest.MonkeyPatch, common: int, fetches_each: bool
) -> None:
    monkeypatch.setattr(search, "COMMON", common)

    both = search.matching(Account.objects.order_by(), "b")

    assert both.count() == 2
    assert ("USING INTEGER PRIMARY KEY" in both.explain()) == fetches_each


def test_preparing_twice_does_nothing(wanted: Account) -> None:
    index.prepare()
    index.prepare()
    assert search.matching(Account.objects.all(), "bakery").count() == 1


OF_ANOTHER_VERSION = {
    "postgresql": (
        "CREATE OR REPLACE FUNCTION account_words() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.words := array_to_tsvector(ARRAY['older']); RETURN NEW; END $$",
        "UPDATE provisioning_account SET words = NULL",
        "COMMENT ON TRIGGER account_words ON provisioning_account IS 'older'",
    ),
    "sqlite": (
        "DROP TRIGGER account_search_insert",
        "CREATE TRIGGER account_search_insert AFTER INSERT ON provisioning_account BEGIN SELECT 1; END",
        "INSERT INTO account_search (account_search) VALUES ('delete-all')",
    ),
}
WITHOUT_TRIGGER = {
    "postgresql": ("DROP TRIGGER account_words ON provisioning_account",),
    "sqlite": ("DROP TRIGGER account_search_insert",),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [OF_ANOTHER_VERSION, WITHOUT_TRIGGER], ids=["another version", "half an index"])
def test_an_index_of_an_older_release_is_built_again(wanted: Account, change: dict[str, tuple[str, ...]]) -> None:
    with connection.cursor() as cursor:
        for statement in change[connection.vendor]:
            cursor.execute(statement)

    index.prepare()

    account(organization_name="Later Bakery", username="later")
    assert search.matching(Account.objects.all(), "bakery").count() == 2


ERASED = ("zqfirst", "zqlast", "zqmail", "zqorganization", "zqusername", "5559876")


def blocks_with(word: str) -> int:
    """Return how many blocks of the index hold a word, or the rest of it after a prefix that words share."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT count(*) FROM provisioning_account WHERE words::text LIKE %s", [f"%{word}%"])
        else:
            cursor.execute(
                "SELECT count(*) FROM account_search_data WHERE instr(block, %s) OR instr(block, %s)",
                [word.encode(), word.removeprefix("zq").encode()],
            )
        count: int = cursor.fetchone()[0]
    return count


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("others", [0, 300])
def test_the_index_forgets_the_words_of_an_erased_account(monkeypatch: pytest.MonkeyPatch, others: int) -> None:
    monkeypatch.setattr(erasure, "PAGES", 5)
    for number in range(others):
        account(username=f"other-{number}", organization_name=f"{uuid.uuid4()}")
    values = dict(zip(("first_name", "last_name", "email", "organization_name", "username"), ERASED, strict=False))
    gone = account(state="created", account_id="1", phone="+1 781 555 9876", **values)
    account(username="later", organization_name="Later Bakery")
    assert all(map(blocks_with, ERASED))

    services.erase(gone)
    for _round in range(6):
        chores.send_robust(None)

    assert [word for word in ERASED if blocks_with(word)] == []
    assert search.matching(Account.objects.all(), "later").count() == 1
    assert search.matching(Account.objects.all(), "other").count() == others


@pytest.mark.django_db(transaction=True)
def test_the_index_is_left_alone_once_it_has_forgotten(django_assert_num_queries: Any) -> None:
    services.erase(account(state="created", account_id="1"))
    for _round in range(5):
        erasure.forget_words()
    with django_assert_num_queries(1 if connection.vendor == "sqlite" else 0):
        erasure.forget_words()
