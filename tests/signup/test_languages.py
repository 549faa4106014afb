"""Customers' languages: the browser's, or the one that the customer chose."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as configuration
from django.test import Client
from django.utils import timezone
from django.utils.translation import trans_real

from provisioning.models import Account, Gateway
from signup.brand.models import Brand
from tests.signup.accounts import TYPED, account

pytestmark = [pytest.mark.django_db, pytest.mark.once]

WORDS = {"en": "Create my account", "fr": "Créer mon compte", "es": "Crear mi cuenta"}
"""Language → the form's button."""


def test_every_language_has_its_page(client: Client) -> None:
    assert WORDS.keys() == dict(configuration.LANGUAGES).keys()

    for language, button in WORDS.items():
        assert button in client.get("/", headers={"Accept-Language": language}).content.decode(), language


@pytest.mark.parametrize("language", [code for code, _ in configuration.LANGUAGES if code != "en"])
def test_a_brand_has_its_own_texts_in_every_language(language: str) -> None:
    columns = {field.name for field in Brand._meta.fields}

    assert {f"headline_{language}", f"selling_points_{language}"} <= columns


@pytest.mark.once
@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.5", "fr"),
        ("es-MX", "es"),
        ("xx,es;q=0.5", "es"),
        ("xx", "en"),
        ("*", "en"),
        ("nonsense;q=x", "en"),
        ("fr;q=0, xx", "en"),
        ("fr;q=0, es", "es"),
        ("fr ; Q=0.000", "en"),
        ("fr;q=0.001", "fr"),
    ],
)
def test_the_browser_chooses_the_language(client: Client, wanted: str, language: str) -> None:
    page = client.get("/", headers={"Accept-Language": wanted})

    assert f'<html lang="{language}">' in page.content.decode()
    assert WORDS[language] in page.content.decode()
    assert page.headers["Content-Language"] == language


def test_every_language_but_the_current_one_can_be_chosen(client: Client) -> None:
    page = client.get("/", headers={"Accept-Language": "es"}).content.decode()

    assert '<span aria-current="true">Español</span>' in page
    assert re.search('<button name="language" value="fr" lang="fr"[^>]*>Français</button>', page)
    assert re.search('<button name="language" value="en" lang="en"[^>]*>English</button>', page)


def test_a_choice_leads_back_to_the_page_and_lasts(client: Client) -> None:
    response = client.post("/language/", {"language": "fr", "next": "/nowhere"})

    cookie = response.cookies["__Host-language"]
    assert response.headers["Location"] == "/nowhere"
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    assert WORDS["fr"] in client.get("/", headers={"Accept-Language": "es"}).content.decode()


def test_a_partly_filled_in_form_is_kept(client: Client) -> None:
    form = TYPED | {"email": "anna@", "submission": str(uuid.uuid4()), "language": "fr"}

    response = client.post("/", form)

    page = response.content.decode()
    assert WORDS["fr"] in page
    assert 'value="anna@"' in page
    assert str(form["submission"]) in page
    assert str(TYPED["password"]) not in page
    assert "Erreur" not in page
    assert response.cookies["__Host-language"].value == "fr"
    assert not Account.objects.exists()


def test_reloading_the_page_in_another_language_shows_the_form(client: Client) -> None:
    assert client.get("/language/", headers={"Referer": "http://testserver/language/"}).headers["Location"] == "/"


@pytest.mark.parametrize("language", ["xx", "../../etc", "\0", ""])
def test_an_unknown_language_changes_nothing(client: Client, language: str) -> None:
    client.post("/language/", {"language": language, "next": "/"})

    assert WORDS["en"] in client.get("/").content.decode()


@pytest.mark.parametrize("language", ["de", "de-a", "fr-a", "EN"])
def test_a_language_that_is_not_ours_is_never_loaded(
    client: Client, page_of: Callable[[Account], str], language: str
) -> None:
    loaded = {**vars(trans_real)["_translations"]}

    for page in ("/", "/language/", page_of(account("queued"))):
        answer = client.post(page, TYPED | {"submission": str(uuid.uuid4()), "language": language, "next": "/"})
        assert "__Host-language" not in answer.cookies

    assert vars(trans_real)["_translations"] == loaded


def test_a_choice_never_leads_to_another_site(client: Client) -> None:
    response = client.post("/language/", {"language": "fr", "next": "https://evil.example.com/"})

    assert response.headers["Location"] == "/"


def test_problems_countries_and_states_are_in_the_chosen_language(client: Client) -> None:
    page = client.post("/", TYPED | {"email": "anna@"}, headers={"Accept-Language": "fr"}).content.decode()

    assert "Saisissez une adresse e-mail comme nom@example.com." in page
    assert "<title>Erreur\N{NO-BREAK SPACE}: " in page
    assert ">Allemagne</option>" in page
    assert ">Californie</option>" in page


def test_times_are_in_the_chosen_language(client: Client, page_of: Callable[[Account], str]) -> None:
    page = page_of(account("queued"))
    Gateway.objects.update_or_create(pk=1, defaults={"paused_until": timezone.now() + timedelta(hours=5, minutes=1)})

    told = client.get(page, headers={"Accept-Language": "fr"}).content.decode()

    assert "dans environ 5\N{NO-BREAK SPACE}heures" in told


def test_the_first_day_of_a_month_is_an_ordinal_in_french_only(
    client: Client, page_of: Callable[[Account], str]
) -> None:
    page = page_of(account("rejected", {"phone": "Too short"}, due_at=datetime(2036, 12, 1, 12, tzinfo=UTC)))

    for language, closes in {
        "en": "before Dec. 1, 2036",
        "fr": "le 1er décembre 2036",
        "es": "del 1 de diciembre",
    }.items():
        assert closes in client.get(page, headers={"Accept-Language": language}).content.decode(), language


def test_a_refusal_is_explained_in_our_words_only(client: Client, page_of: Callable[[Account], str]) -> None:
    page = page_of(account("rejected", {"email": "#/email: It is blocked."}, keys={"email": "json.email.invalid"}))

    told = client.get(page, headers={"Accept-Language": "es"}).content.decode()

    assert "Constant Contact no acepta esta dirección de correo electrónico. Compruebe que" in told
    assert "It is blocked." not in told
    assert "#/" not in told.split("<main")[1]


def test_a_taken_username_is_reported_in_the_chosen_language(client: Client, page_of: Callable[[Account], str]) -> None:
    page = page_of(account("rejected", {"username": "In use."}, outcome="taken"))

    assert "déjà pris" in client.get(page, headers={"Accept-Language": "fr"}).content.decode()


def test_the_not_found_page_is_in_the_chosen_language(client: Client) -> None:
    page = client.get("/nowhere", headers={"Accept-Language": "fr"}).content.decode()

    assert "n\N{RIGHT SINGLE QUOTATION MARK}existe pas" in page
    assert 'name="next" value="/nowhere"' in page


def test_the_server_error_page_is_in_the_chosen_language(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signup.views.form.services.submit", lambda *_: 1 / 0)
    client.raise_request_exception = False

    page = client.post("/", TYPED, headers={"Accept-Language": "fr"}).content.decode()

    assert '<html lang="fr">' in page
    assert "de notre côté" in page


def test_the_admin_is_in_english(client: Client) -> None:
    page = client.get("/admin/login/", headers={"Accept-Language": "fr"}).content.decode()

    assert '<html lang="en' in page
    assert "Log in" in page
