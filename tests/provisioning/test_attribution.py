"""Where a sign-up came from: what is stored of it, and how sign-ups are found by it."""

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.db.models.lookups import Exact

from provisioning import services
from provisioning.attribution import MAX_LENGTH, NAMES, ValueOf, clean, without_personal_values
from provisioning.models import Account
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, again

EVERYTHING = {name: f"canary-{name}" for name in NAMES}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("newsletter", "newsletter"),
        ("  spring \n sale\t", "spring sale"),
        ("a\x00b\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}c", "a b [31m c"),
        ("Frühling 🌷", "Frühling 🌷"),
        ("x" * 5000, "x" * MAX_LENGTH),
        ("x" * (MAX_LENGTH - 1) + " y", "x" * (MAX_LENGTH - 1)),
        ("\ud800", None),
        ("", None),
        ("\x00", None),
        (7, None),
        (None, None),
        (["a"], None),
    ],
    ids=repr,
)
def test_long_values_are_cut_and_what_cannot_be_displayed_is_left_out(value: Any, stored: str | None) -> None:
    assert clean({"utm_source": value}).get("utm_source") == stored


@pytest.mark.parametrize(
    ("value", "is_impersonal"),
    [
        ("newsletter", True),
        ("may-sale", True),
        ("alder.example.com", True),
        ("somebody.else@example.com", False),
        ("anna@nullmailer.com", False),
        ("Hello Zoë-May Ångström", False),
        ("MAY", False),
        ("for_anna.bakery", False),
        ("+1 (555) 010-0199", False),
        ("annas-bakery.example", False),
        ("Annas Bakery", False),
        ("zoe%40mail.example", False),
        ("zoe%2540mail.example", False),
        ("angstrom-spring", False),
        ("list-jose.n", False),
        ("555 010 0199", False),
        ("0100200", True),
    ],
)
def test_values_that_name_the_customer_can_be_left_out(value: str, is_impersonal: bool) -> None:
    personal = ["Anna's Bakery", "May", "Ångström", "anna@nullmailer.com", "+15550100199", "anna.bakery", ""]
    personal += ["Jose.N@nullmailer.com"]
    found = without_personal_values({"ref": value, "promo": "SPRING"}, [*personal, "https://www.annas-bakery.example"])
    assert found == ({"ref": value} if is_impersonal else {}) | {"promo": "SPRING"}


def test_only_known_names_are_stored() -> None:
    assert clean({"utm_source": "a", "utm_id": "b", "password": "c"}) == {"utm_source": "a"}


@pytest.mark.database
@pytest.mark.django_db
class TestAccount:
    def test_it_is_stored_with_the_sign_up(self) -> None:
        given = EVERYTHING | {"unknown": "x"}
        account = services.submit(services.prepare(SIGN_UP, uuid.uuid4(), attribution=given))

        assert again(account).attribution == EVERYTHING

    def test_a_sign_up_without_it_has_none(self) -> None:
        assert again(services.submit(services.prepare(SIGN_UP, uuid.uuid4()))).attribution == {}

    def test_it_is_erased_with_the_other_personal_data(self) -> None:
        account = account_in(State.CREATED, attribution=EVERYTHING)

        services.erase(account)

        assert again(account).attribution == {}

    @pytest.mark.parametrize("name", NAMES)
    def test_sign_ups_are_found_by_each_value_without_reading_all_of_them(self, name: str) -> None:
        wanted = account_in(State.CREATED, username="wanted", attribution={name: "canary", "utm_id": "x"})
        account_in(State.CREATED, username="other", attribution={name: "other"})
        account_in(State.CREATED, username="without")

        found = Account.objects.filter(Exact(ValueOf(name), "canary")).order_by("-submitted_at", "-pk")

        assert list(found) == [wanted]
        assert re.search(rf"\baccount_{name}\b", plan(str(found.values("pk").query).replace("canary", "'canary'")))


def plan(query: str) -> str:
    """Return how the database would run the query on a table too large to read."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {query}")
        else:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {query}")
        return str(cursor.fetchall())
