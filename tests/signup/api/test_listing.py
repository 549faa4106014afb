"""Lists of sign-ups: every one once, whatever happens between two pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from provisioning.models import Account
from signup.models import Brand
from tests.signup.accounts import CANARY, account
from tests.signup.api.partner import SIGNUPS, Partner, errors

pytestmark = pytest.mark.django_db


def references(partner: Partner, **query: Any) -> list[str]:
    """Return the references of all pages."""
    found: list[str] = []
    page = partner.get(SIGNUPS, **query).json()
    while True:
        found += [each["reference"] for each in page["items"]]
        if page["next"] is None:
            return found
        page = partner.get(SIGNUPS, **query, cursor=page["next"]).json()


@pytest.mark.parametrize("now", [None, Now(), timezone.now()], ids=["when made", "at once", "at once, by our clock"])
def test_the_newest_come_first_and_every_one_once(partner: Partner, now: Any) -> None:
    made = [str(account("queued").reference) for _ in range(7)]
    if now:
        Account.objects.update(submitted_at=now)

    for limit in (1, 2, 3, 7, 500):
        assert references(partner, limit=limit) == made[::-1]


def test_sign_ups_that_are_added_or_move_meanwhile_shift_nothing(partner: Partner) -> None:
    made = [str(account("queued").reference) for _ in range(6)]
    first = partner.get(SIGNUPS, limit=2, state="queued").json()
    account("queued")
    Account.objects.filter(reference__in=made[4:]).update(state="held", due_at=None)

    second = partner.get(SIGNUPS, limit=10, state="queued", cursor=first["next"]).json()

    assert [each["reference"] for each in first["items"] + second["items"]] == made[::-1]


def test_a_list_is_filtered_by_state_and_time(partner: Partner) -> None:
    now = timezone.now()
    old, new = account("created"), account("queued")
    Account.objects.filter(pk=old.pk).update(submitted_at=now - timedelta(days=2))

    assert references(partner, state="created") == [str(old.reference)]
    assert references(partner, submitted_after=(now - timedelta(days=1)).isoformat()) == [str(new.reference)]
    assert references(partner, submitted_before=(now - timedelta(days=1)).isoformat()) == [str(old.reference)]
    assert references(partner, state="held") == []


def test_a_time_that_a_list_shows_is_the_limit_of_another_one(partner: Partner) -> None:
    first, second = account("queued"), account("queued")
    Account.objects.filter(pk=first.pk).update(submitted_at=Now() - timedelta(seconds=1))
    shown = partner.get(f"{SIGNUPS}/{second.reference}").json()["submitted_at"]

    assert references(partner, submitted_after=shown) == [str(second.reference)]
    assert references(partner, submitted_before=shown) == [str(first.reference)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "gone"),
        ("submitted_after", "yesterday"),
        ("submitted_after", "2027-01-31T09:00:00"),
        ("submitted_after", "2027-02-31T09:00:00Z"),
        ("submitted_before", "0001-01-01T00:00:00+14:00"),
        ("submitted_before", "9999-12-31T23:59:59-14:00"),
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "-1"),
        ("limit", "²"),
        ("limit", "1" * 30),
        ("limit", "0000000010000"),
        ("limit", "000000001" + "0" * 20),
        ("cursor", "7"),
        ("cursor", "00000000-0000-4000-8000-000000000000"),
        ("sort", "email"),
    ],
)
def test_a_wrong_parameter_is_named(partner: Partner, name: str, value: str) -> None:
    answer = partner.get(SIGNUPS, **{name: value})

    assert (answer.status_code, errors(answer)) == (400, {name: "bad_parameter"})


def test_a_parameter_that_is_sent_twice_is_refused(partner: Partner) -> None:
    assert errors(partner.get(SIGNUPS, state=["queued", "held"])) == {"state": "bad_parameter"}


def test_nothing_secret_is_in_a_list_or_a_sign_up(partner: Partner) -> None:
    of = account("rejected", {"phone": "Wrong."})
    shown = partner.get(SIGNUPS).content + partner.get(f"{SIGNUPS}/{of.reference}").content

    assert CANARY not in shown.decode()
    assert "password" not in shown.decode().replace("login", "")
    assert "token" not in shown.decode()


def test_a_rejected_sign_up_says_what_to_correct(partner: Partner) -> None:
    of = account("rejected", {"phone": "#/phone: bad"}, keys={"phone": "json.regex.invalid"}, due_at=timezone.now())

    shown = partner.get(f"{SIGNUPS}/{of.reference}").json()

    assert [(each["property"], each["code"]) for each in shown["refused"]] == [("phone", "json.regex.invalid")]
    assert "digits" in shown["refused"][0]["message"]
    assert shown["correct_before"]
    assert shown["suggestions"] == []


def test_a_taken_username_comes_with_suggestions(partner: Partner) -> None:
    of = account("rejected", {"username": ""}, outcome="taken")

    shown = partner.get(f"{SIGNUPS}/{of.reference}").json()

    assert [(each["property"], each["code"]) for each in shown["refused"]] == [("username", "taken")]
    assert shown["suggestions"]


@pytest.mark.parametrize(
    "query", [{}, {"state": "created"}, {"state": "created", "submitted_after": "2020-01-01T00:00:00Z"}]
)
@pytest.mark.parametrize("with_brand", [True, False])
def test_a_page_is_read_from_an_index(query: dict[str, str], with_brand: bool) -> None:
    """Without sorting all rows: at a million accounts, that would take seconds."""
    brand = Brand.objects.create(name="Alder", host="alder.example.com") if with_brand else None
    partner = Partner(brand=brand)
    last = [account("created", host="alder.example.com") for _ in range(2)][-1]
    with CaptureQueriesContext(connection) as queries:
        partner.get(SIGNUPS, cursor=last.reference, **query)
    listed = next(each["sql"] for each in queries if "ORDER BY" in each["sql"] and "LIMIT 101" in each["sql"])

    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {listed}")
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert "SEARCH provisioning_account USING INDEX account_" in plan
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan
        else:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute(f"EXPLAIN {listed}")
            plan = " ".join(row for (row,) in cursor.fetchall())
            assert "Index Scan using account_" in plan
            assert "Seq Scan" not in plan
