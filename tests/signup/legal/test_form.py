"""Customers accept the legal texts of a brand when they sign up, in the version that they saw."""

import re
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.models import Account
from signup.legal.agreements import record
from signup.legal.models import Agreement, LegalText
from signup.models import Brand
from tests.signup.accounts import TYPED
from tests.signup.legal.texts import boxes, checked, published, send

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def brand() -> Brand:
    return Brand.objects.create(name="Alder & Co")


@pytest.fixture
def terms(brand: Brand) -> LegalText:
    return published(brand, "terms")


def agreed() -> list[LegalText]:
    return [each.text for each in Agreement.objects.select_related("text")]


@pytest.mark.usefixtures("brand")
def test_without_legal_texts_the_form_asks_for_no_agreement(client: Client) -> None:
    assert boxes(client.get("/")) == {}
    assert send(client).status_code == 302


def test_nothing_is_checked_beforehand(client: Client, brand: Brand, terms: LegalText) -> None:
    privacy, news = published(brand, "privacy"), published(brand, "marketing")

    page = client.get("/")

    assert boxes(page) == {"agree": f"{terms.pk},{privacy.pk}", "marketing": f"{news.pk}"}
    assert checked(page) == []
    for text in (terms, privacy, news):
        assert f'href="/legal/{text.pk}/"' in page.content.decode()
    assert "Send me news and offers from Alder &amp; Co." in page.content.decode()


def test_a_text_that_is_kept_elsewhere_is_linked_there(client: Client, brand: Brand) -> None:
    published(brand, "terms", url="https://example.com/terms?a=1&b=2")

    assert 'href="https://example.com/terms?a=1&amp;b=2"' in client.get("/").content.decode()


def test_what_was_accepted_is_stored_with_the_account(client: Client, brand: Brand, terms: LegalText) -> None:
    privacy, news = published(brand, "privacy"), published(brand, "marketing")

    assert send(client, **boxes(client.get("/"))).status_code == 302

    assert agreed() == [terms, privacy, news]
    assert {each.account for each in Agreement.objects.all()} == {Account.objects.get()}


def test_marketing_is_optional(client: Client, brand: Brand, terms: LegalText) -> None:
    published(brand, "marketing")

    send(client, agree=boxes(client.get("/"))["agree"])

    assert agreed() == [terms]


@pytest.mark.usefixtures("terms")
def test_nobody_signs_up_without_accepting(client: Client) -> None:
    page = send(client)

    assert "Check this box to sign up." in page.content.decode()
    assert 'href="#id_agree"' in page.content.decode()
    assert f'value="{TYPED["email"]}"' in page.content.decode()
    assert not Account.objects.exists()


def test_a_box_stays_checked_while_something_else_is_wrong(client: Client, brand: Brand, terms: LegalText) -> None:
    published(brand, "marketing")

    page = send(client, phone="1", **boxes(client.get("/")))

    assert checked(page) == ["agree", "marketing"]
    assert not Agreement.objects.exists()


@pytest.mark.parametrize("name", ["agree", "marketing"])
def test_a_new_version_is_asked_for_again_and_nothing_is_lost(
    client: Client, brand: Brand, terms: LegalText, name: str
) -> None:
    published(brand, "marketing")
    seen = boxes(client.get("/"))
    newer = published(brand, "terms" if name == "agree" else "marketing", "2")

    page = send(client, **seen)

    assert "The text has changed since you opened this page." in page.content.decode()
    assert boxes(page)[name] == str(newer.pk)
    assert checked(page) == [each for each in ("agree", "marketing") if each != name]
    assert f'value="{TYPED["email"]}"' in page.content.decode()
    send(client, **boxes(page))
    assert newer in agreed()


@pytest.mark.parametrize("forged", ["on", "0", "99999999999999999999", "-1", ",", "é", "1 OR 1=1"])
def test_a_made_up_version_is_not_accepted(client: Client, terms: LegalText, forged: str) -> None:
    assert send(client, agree=forged).status_code == 200
    assert not Account.objects.exists()


def test_another_brands_text_is_not_accepted(client: Client, terms: LegalText) -> None:
    other = published(Brand.objects.create(name="Birch", host="localhost"), "terms")

    assert send(client, agree=str(other.pk)).status_code == 200
    assert "/legal/" not in Client().get("/", headers={"host": "127.0.0.1"}).content.decode().replace(
        f"/legal/{terms.pk}/", ""
    )


def test_a_draft_is_not_in_force(client: Client, brand: Brand, terms: LegalText) -> None:
    draft = LegalText.objects.create(brand=brand, kind="terms", version="2", text="Draft")

    assert boxes(client.get("/")) == {"agree": str(terms.pk)}
    assert client.get(f"/legal/{draft.pk}/").status_code == 404


def test_customers_accept_the_text_in_their_language_or_else_the_general_one(
    client: Client, brand: Brand, terms: LegalText
) -> None:
    french = published(brand, "terms", language="fr")

    assert boxes(client.get("/", headers={"accept-language": "fr"})) == {"agree": str(french.pk)}
    assert boxes(client.get("/", headers={"accept-language": "es"})) == {"agree": str(terms.pk)}


def test_the_version_that_was_seen_counts_even_if_the_language_has_changed(
    client: Client, brand: Brand, terms: LegalText
) -> None:
    published(brand, "terms", language="fr")

    client.post("/", TYPED | {"agree": str(terms.pk)}, headers={"accept-language": "fr"})

    assert agreed() == [terms]


def test_after_a_change_of_the_language_the_new_text_must_be_accepted(
    client: Client, brand: Brand, terms: LegalText
) -> None:
    french = published(brand, "terms", language="fr")

    page = client.post("/", TYPED | {"submission": "0" * 32, "language": "fr", "agree": str(terms.pk)})

    assert (boxes(page), checked(page)) == ({"agree": str(french.pk)}, [])


def test_the_same_form_sent_again_agrees_only_once(client: Client, terms: LegalText) -> None:
    form = {"submission": "1" * 32, "agree": str(terms.pk)}

    assert [send(client, **form).status_code for _ in range(3)] == [302] * 3
    assert agreed() == [terms]


def test_the_same_form_sent_twice_at_the_same_moment_agrees_only_once(client: Client, terms: LegalText) -> None:
    send(client, agree=str(terms.pk))

    record(Account.objects.get(), [terms])  # By another request, which saw no agreement yet.

    assert agreed() == [terms]


def test_the_form_sent_again_says_what_the_customer_wants_now(client: Client, brand: Brand, terms: LegalText) -> None:
    """They pressed Back, and checked or cleared the box for marketing."""
    news = published(brand, "marketing")
    form = {"submission": "1" * 32, "agree": str(terms.pk)}

    for wanted in (False, True, False):
        send(client, **form, **({"marketing": str(news.pk)} if wanted else {}))
        assert agreed() == ([terms, news] if wanted else [terms])


def test_a_form_of_another_brand_withdraws_nothing(client: Client, brand: Brand, terms: LegalText) -> None:
    news = published(brand, "marketing")
    published(Brand.objects.create(name="Birch", host="localhost"), "marketing")
    form = {"submission": "1" * 32, "agree": str(terms.pk), "marketing": str(news.pk)}
    send(client, **form)

    client.post("/", TYPED | {"submission": "1" * 32}, headers={"host": "localhost"})

    assert agreed() == [terms, news]


def test_an_agreement_is_two_statements_of_the_sign_up(client: Client, brand: Brand, terms: LegalText) -> None:
    published(brand, "privacy")
    form = boxes(client.get("/"))

    with CaptureQueriesContext(connection) as queries:
        send(client, **form)

    assert len([each for each in queries if "legaltext" in each["sql"] or "agreement" in each["sql"]]) == 2


def test_if_the_sign_up_is_not_stored_neither_is_the_agreement(client: Client, terms: LegalText) -> None:
    send(client, agree=str(terms.pk))

    Client().post("/", TYPED | {"agree": str(terms.pk)})  # The username is taken.

    assert Agreement.objects.count() == 1


def test_a_text_published_by_another_process_is_seen_after_a_second(
    client: Client, brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/")
    text = published(brand, "terms")
    LegalText.objects.update(published_at=None)
    text.save()
    LegalText.objects.update(published_at=None)
    client.get("/")
    LegalText.objects.update(published_at="2026-01-01T00:00Z")  # Sends no signal.
    later = time.time() + 1
    monkeypatch.setattr("django.core.cache.backends.locmem.time.time", lambda: later)

    assert boxes(client.get("/")) == {"agree": str(text.pk)}


class TestPage:
    def test_it_shows_the_text_without_interpreting_it(self, client: Client, brand: Brand) -> None:
        text = published(brand, "terms", "2026-11", text="First.\n\n<script>alert(1)</script>")

        page = client.get(f"/legal/{text.pk}/").content.decode()

        assert "Alder &amp; Co" in page
        assert "Version 2026-11, published " in page
        assert re.search(r"<p>First\.</p>\s*<p>&lt;script&gt;", page)

    def test_an_earlier_version_can_still_be_read(self, client: Client, brand: Brand, terms: LegalText) -> None:
        published(brand, "terms", "2")

        assert client.get(f"/legal/{terms.pk}/").status_code == 200

    @pytest.mark.parametrize("values", [{"url": "https://example.com/"}, {"text": "Other"}], ids=str)
    def test_other_brands_and_texts_that_are_kept_elsewhere_have_no_page(
        self, client: Client, brand: Brand, values: dict[str, Any]
    ) -> None:
        other = Brand.objects.create(name="Birch", host="localhost") if "text" in values else brand

        assert client.get(f"/legal/{published(other, 'terms', **values).pk}/").status_code == 404
