"""The form carries where its visitor came from, without a cookie, through everything that can happen to it."""

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from provisioning.attribution import NAMES
from provisioning.models import Account
from signup.models import Brand
from tests.signup.accounts import TYPED

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.once]

ELSEWHERE = {"referer": "https://blog.example.com/how-to?private=1"}
QUERY = {name: f"from-{name}" for name in NAMES if name != "referrer"}
CAME_FROM = QUERY | {"referrer": "blog.example.com"}


def field(response: Any) -> str:
    found = re.findall(r'<input type="hidden" name="attribution" value="([^"]*)"', response.content.decode())
    assert len(found) == 1
    return str(found[0])


def stored() -> dict[str, str]:
    came_from: dict[str, str] = Account.objects.get().attribution
    return came_from


def test_it_is_stored_with_the_sign_up(client: Client) -> None:
    page = client.get("/", QUERY | {"gclid": "x", "password": "y"}, headers=ELSEWHERE)

    client.post("/", TYPED | {"attribution": field(page)}, headers={"referer": "http://testserver/"})

    assert stored() == CAME_FROM


def test_it_needs_no_cookie_and_no_query(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    names = set(client.get("/").cookies)

    with django_assert_num_queries(0):
        page = client.get("/", QUERY, headers=ELSEWHERE)

    assert set(page.cookies) == names
    assert not [value for value in CAME_FROM.values() if value in str(page.cookies)]


def test_the_cached_page_has_each_visitors_own(client: Client) -> None:
    pages = [Client().get("/", {"utm_source": name} if name else {}) for name in ("a", "b", "")]

    assert len({field(page) for page in pages}) == 3
    assert field(pages[2]) == ""


def test_the_field_shows_and_accepts_nothing_that_was_not_signed(client: Client) -> None:
    signed = field(client.get("/", QUERY))

    for forged in (signed[:-1], signed[1:], "x", "{}", ":", "é" * 5000, "utm_source=a"):
        form = TYPED | {"username": f"anna-{Account.objects.count()}", "attribution": forged}
        response = Client().post("/", form)
        assert response.status_code == 302
    assert {str(each.attribution) for each in Account.objects.all()} == {"{}"}


def test_a_missing_field_loses_only_the_attribution(client: Client) -> None:
    client.post("/", TYPED)

    assert stored() == {}


def test_it_survives_errors_and_changes_of_the_language(client: Client) -> None:
    page = client.get("/", QUERY, headers=ELSEWHERE)
    for sent in (TYPED | {"phone": "1"}, TYPED | {"language": "fr"}, TYPED | {"username": ""}):
        form = {"submission": "0" * 32, "attribution": field(page)}
        page = client.post("/", form | sent)
        assert page.status_code == 200

    client.post("/", TYPED | {"attribution": field(page)})

    assert stored() == CAME_FROM


def test_it_survives_a_missing_cookie() -> None:
    strict = Client(enforce_csrf_checks=True)
    page = strict.get("/", QUERY, headers=ELSEWHERE)
    strict.cookies.clear()

    refused = strict.post("/", TYPED | {"attribution": field(page)})

    assert refused.status_code == 403
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', refused.content.decode())[0]
    strict.post("/", TYPED | {"csrfmiddlewaretoken": token, "attribution": field(refused)})
    assert stored() == CAME_FROM


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://Blog.Example.com:8443/a", "blog.example.com"),
        ("android-app://com.google.android.gm/", "com.google.android.gm"),
        ("http://testserver/other", None),
        ("http://TESTSERVER:81/", None),
        ("https://[::1", None),
        ("about:blank", None),
        ("not a URL", None),
        ("https://user:secret@example.com/", "example.com"),
        ("https://" + "x" * 300 + ".example.com/", "x" * 100),
    ],
)
def test_of_the_referrer_only_another_sites_host_is_stored(client: Client, referrer: str, host: str | None) -> None:
    page = client.get("/", headers={"referer": referrer})

    client.post("/", TYPED | {"attribution": field(page)})

    assert stored().get("referrer") == host


def test_a_brands_preview_carries_none(admin_client: Client, settings: Settings) -> None:
    brand = Brand.objects.create(name="Alder", trial_days=60)
    form = {"name": "Alder", "trial_days": "60", "_preview": "yes"}

    page = admin_client.post(f"/admin/signup/brand/{brand.pk}/change/?utm_source=x", form)

    assert field(page) == ""
