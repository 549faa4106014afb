"""The blank form is rendered once for each brand and language, but every visitor gets their own values in it."""

import re
import time

import pytest
from django.conf import settings as configuration
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import translation
from pytest_django import DjangoAssertNumQueries, Settings

from signup import form_page
from signup.fields import NEVER_CACHED, _render
from signup.forms import SignupForm
from signup.models import Brand
from signup.single_sign_on import Proof
from tests.signup.accounts import hidden

pytestmark = pytest.mark.django_db

OWN = re.compile(r'(name="csrfmiddlewaretoken" value|name="submission" value|name="shown" value|style nonce)="[^"]+"')


def visit(host: str = "testserver") -> HttpRequest:
    request = RequestFactory(headers={"host": host}).get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    request.csp_nonce = "nonce-of-this-visit"  # type: ignore[attr-defined]
    return request


@pytest.fixture
def brand() -> Brand:
    return Brand.objects.create(host="localhost", name="Alder & Co", color="#2454d6", selling_points="Ours\nYours")


@pytest.mark.once
@pytest.mark.usefixtures("brand")
@pytest.mark.parametrize("protection", [True, False])
@pytest.mark.parametrize("language", dict(configuration.LANGUAGES))
@pytest.mark.parametrize("host", ["testserver", "localhost"])
def test_it_equals_a_page_that_is_rendered_for_one_visitor(
    settings: Settings, host: str, language: str, protection: bool
) -> None:
    settings.ABUSE_PROTECTION = protection
    with translation.override(language):
        rendered = form_page.filled_in(SignupForm(), visit(host), 200, Proof()).content.decode()
        for _ in range(2):
            blank = form_page.blank(visit(host)).content.decode()
            assert OWN.sub(r"\1", blank) == OWN.sub(r"\1", rendered)
            assert len(OWN.findall(blank)) == len(OWN.findall(rendered)) > 2


def test_each_visitor_has_a_token_an_id_and_a_time_of_their_own(settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    pages = [Client().get("/") for _ in range(3)]

    assert len({hidden(page)["submission"] for page in pages}) == 3
    assert len({hidden(page)["shown"] for page in pages}) == 3
    assert (
        len({token for page in pages for token in re.findall(r"csrf\w+\" value=\"(\w{64})\"", page.content.decode())})
        == 3
    )


@pytest.mark.usefixtures("brand")
def test_the_style_has_a_new_nonce_each_time_that_the_header_allows() -> None:
    pages = [Client().get("/", headers={"host": "localhost"}) for _ in range(3)]
    nonces = [re.findall(r'<style nonce="([^"]+)"', page.content.decode()) for page in pages]

    assert len({nonce for found in nonces for nonce in found}) == 3
    for page, found in zip(pages, nonces, strict=True):
        assert f"'nonce-{found[0]}'" in page.headers["Content-Security-Policy"]


def test_a_brand_saved_in_this_process_is_seen_at_once(client: Client, brand: Brand) -> None:
    client.get("/", headers={"host": "localhost"})

    brand.name = "Birch & Co"
    brand.save()
    assert "Birch &amp; Co" in client.get("/", headers={"host": "localhost"}).content.decode()

    brand.delete()
    assert "Birch" not in client.get("/", headers={"host": "localhost"}).content.decode()


def test_a_brand_saved_by_another_process_is_seen_after_a_second(
    client: Client, brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/", headers={"host": "localhost"})

    Brand.objects.filter(pk=brand.pk).update(name="Birch & Co", trial_days=17)  # Sends no signal.
    later = time.time() + 1
    monkeypatch.setattr("django.core.cache.backends.locmem.time.time", lambda: later)

    page = client.get("/", headers={"host": "localhost"}).content.decode()
    assert "Birch &amp; Co" in page
    assert "Alder" not in page
    assert "Free for 17 days" in page


def test_it_needs_no_query(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client.get("/")

    with django_assert_num_queries(0):
        client.get("/")


def test_preloading_covers_every_language_and_needs_no_database(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    _render.cache_clear()

    with django_assert_num_queries(0):
        form_page.warm_up()

    fields = set(SignupForm().fields) - NEVER_CACHED
    assert _render.cache_info().currsize == len(fields) * len(configuration.LANGUAGES)
