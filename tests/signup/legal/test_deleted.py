"""A published text is deleted while other processes still offer it, or while an agreement with it is being stored."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import caches
from django.db import OperationalError, connection, transaction
from django.test import Client

from provisioning.models import Account
from signup.legal.admin import LegalTextAdmin
from signup.legal.agreements import record
from signup.legal.models import Agreement, LegalText
from signup.models import Brand
from tests.signup.accounts import TYPED, account
from tests.signup.api.partner import Partner, errors
from tests.signup.legal.texts import boxes, checked, published, send

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def brand() -> Brand:
    return Brand.objects.create(name="Alder")


def delete_elsewhere(client: Client, text: LegalText) -> dict[str, str]:
    """Return the boxes of a form with a text that another process deletes. This one goes on offering it."""
    offered = boxes(client.get("/"))
    brand = caches["pages"].get("brand-testserver")
    assert text in brand.texts_in_force
    caches["pages"].set("brand-testserver", brand, timeout=60)
    LegalText.objects.filter(pk=text.pk)._raw_delete("default")
    return offered


def test_a_text_without_a_successor_is_no_longer_asked_for(client: Client, brand: Brand) -> None:
    terms, news = published(brand, "terms"), published(brand, "marketing")
    form = delete_elsewhere(client, news)

    assert send(client, **form).status_code == 302

    assert [each.text for each in Agreement.objects.all()] == [terms]


def test_an_earlier_version_is_asked_for_instead_and_nothing_is_lost(client: Client, brand: Brand) -> None:
    earlier, _news = published(brand, "terms"), published(brand, "marketing")
    form = delete_elsewhere(client, published(brand, "terms", "2"))

    page = send(client, **form)

    assert "The text has changed since you opened this page." in page.content.decode()
    assert f'value="{TYPED["email"]}"' in page.content.decode()
    assert (boxes(page)["agree"], checked(page)) == (str(earlier.pk), ["marketing"])
    assert not Account.objects.exists()
    assert send(client, **boxes(page)).status_code == 302
    assert Agreement.objects.count() == 2


def test_a_form_that_is_sent_again_leads_to_its_account(client: Client, brand: Brand) -> None:
    news = published(brand, "marketing")
    send(client, submission="1" * 32)
    form = delete_elsewhere(client, news)

    again = send(client, submission="1" * 32, **form)

    assert again.headers["Location"] == f"/signup/{Account.objects.get().reference}/"
    assert not Agreement.objects.exists()


def test_the_api_says_that_the_text_has_changed(client: Client, brand: Brand) -> None:
    terms, partner = published(brand, "terms"), Partner()
    delete_elsewhere(client, terms)

    answer = partner.sign_up("order-1", agreements=[terms.pk])

    assert (answer.status_code, errors(answer)) == (422, {"agreements": "changed"})
    assert partner.sign_up("order-1").status_code == 202


def test_a_text_that_a_customer_accepts_meanwhile_is_not_deleted(
    admin_client: Client, brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = published(brand, "terms")
    whole = LegalTextAdmin.get_deleted_objects

    def and_then_accept(*args: Any) -> Any:
        found = whole(*args)
        record(account("queued"), [terms])
        return found

    monkeypatch.setattr(LegalTextAdmin, "get_deleted_objects", and_then_accept)

    answer = admin_client.post(f"/admin/signup/legaltext/{terms.pk}/delete/", {"post": "yes"}, follow=True)

    assert "Nothing was deleted: a customer has accepted this text" in answer.content.decode()
    assert LegalText.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has only one writer at a time")
def test_a_text_cannot_be_deleted_while_an_agreement_with_it_is_being_stored(brand: Brand) -> None:
    terms, made = published(brand, "terms"), account("queued")
    refused = []

    def delete() -> None:
        try:
            connection.cursor().execute("SET lock_timeout = '50ms'")
            LegalText.objects.filter(pk=terms.pk)._raw_delete("default")
        except OperationalError as error:
            refused.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        record(made, [terms])
        colleague = Thread(target=delete)
        colleague.start()
        colleague.join()

    assert "lock timeout" in str(refused[0])
    assert Agreement.objects.get().text == terms
