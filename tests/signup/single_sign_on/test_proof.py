"""Without a proof, there is no form, and nobody can choose an ID. With it, nothing that was typed is lost."""

import time
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from signup.single_sign_on.pre_login import PreLoginSession
from tests.postgresql import free_port
from tests.provisioning.work import at_once
from tests.signup.accounts import TYPED, account

pytestmark = pytest.mark.django_db

ENTERED = {name: value for name, value in TYPED.items() if name != "password"}


@pytest.fixture
def known(client: Client) -> Client:
    """Return a browser with a proof for the ID 4711."""
    prove(client, "4711")
    return client


def prove(client: Client, idp_provider_id: str, lasts: int = 600, **values: Any) -> None:
    session = client.session
    until = time.time() + lasts
    session["proof"] = {"idp_provider_id": idp_provider_id, "values": values, "link": "", "until": until}
    session.save()


def carried_by(client: Client) -> dict[str, Any]:
    """Return the content of the browser's sealed cookie."""
    cookie = client.cookies.get(settings.PRE_LOGIN_COOKIE_NAME)
    return dict(PreLoginSession(cookie.value if cookie else None).items())


def page(client: Client) -> str:
    response = client.get("/")
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("changes", "offered", "not_offered"),
    [
        ({"OIDC_ISSUER": "https://id.example.com"}, 'href="/login/"', "personal link"),
        ({"SIGNUP_LINK_URL": "https://my.example.com/trial"}, 'href="https://my.example.com/trial"', "/login/"),
        ({"BRAND_SUPPORT_URL": "https://help.example.com"}, 'href="https://help.example.com"', "/login/"),
        (
            {"OIDC_ISSUER": "https://id.example.com", "SIGNUP_LINK_URL": "https://my.example.com/trial"},
            'href="https://my.example.com/trial"',
            "personal link",
        ),
    ],
    ids=str,
)
def test_without_proof_the_page_says_how_to_get_in(
    client: Client, settings: Settings, changes: dict[str, str], offered: str, not_offered: str
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    shown = page(client)

    assert offered in shown
    assert not_offered not in shown
    assert 'name="submission"' not in shown
    assert 'role="alert"' not in shown


def test_with_another_persons_proof_the_page_asks_for_a_new_link(known: Client, settings: Settings) -> None:
    assert "Not you?" not in page(known)

    settings.SIGNUP_LINK_URL = "https://my.example.com/trial"

    assert '<a href="https://my.example.com/trial">Not you?' in page(known)


@pytest.mark.parametrize("path", ["/", "/login/", "/login/callback/", "/start/", "/admin/log-in/"])
def test_its_pages_are_not_cached(client: Client, settings: Settings, path: str) -> None:
    settings.OIDC_ISSUER, settings.OIDC_STAFF_CLAIM = f"http://127.0.0.1:{free_port()}", "groups"

    assert "no-store" in client.get(path).headers["Cache-Control"]


def test_the_login_page_names_the_partner(client: Client, settings: Settings) -> None:
    settings.OIDC_ISSUER, settings.BRAND_NAME = "https://id.example.com", "Alder & Co"

    assert "Continue with Alder &amp; Co" in page(client)


def test_without_proof_nothing_is_stored_whatever_the_form_contains(client: Client) -> None:
    response = client.post("/", TYPED | {"idp_provider_id": "4711", "idp_provider": "alder"})

    assert response.status_code == 403
    assert not Account.objects.exists()


@pytest.mark.parametrize("lasts", [None, -1])
def test_values_typed_after_the_proof_expired_survive_the_new_login(client: Client, lasts: int | None) -> None:
    if lasts:
        prove(client, "4711", lasts, phone="111 111")
    said = client.post("/", ENTERED | {"gdpr_opt_out": "on"}).content.decode()
    assert "everything you typed is kept" in said

    prove(client, "4711", phone="111 111", first_name="Annabel")

    form = client.get("/").context["form"]
    assert form.initial == ENTERED | {"gdpr_opt_out": True}
    assert client.post("/", ENTERED).status_code == 302
    assert "typed" not in carried_by(client)


def test_typed_values_survive_the_loss_of_all_cookies() -> None:
    browser = Client(enforce_csrf_checks=True)
    response = browser.post("/", ENTERED)
    assert response.status_code == 403
    assert "cookies" in response.content.decode()

    prove(browser, "4711")

    assert browser.get("/").context["form"].initial == ENTERED | {"gdpr_opt_out": False}


def test_another_site_can_plant_nothing() -> None:
    browser = Client(enforce_csrf_checks=True)

    browser.post("/", ENTERED, headers={"origin": "https://evil.example.com"})

    assert "typed" not in carried_by(browser)


def test_a_form_without_its_csrf_token_comes_back_to_a_known_customer(known: Client) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = known.cookies

    response = browser.post("/", ENTERED)

    assert response.status_code == 403
    assert f'value="{ENTERED["username"]}"' in response.content.decode()
    assert "Please send the form once more." in response.content.decode()
    assert "password again" not in response.content.decode()


def test_typed_values_override_known_ones_and_both_can_be_changed(client: Client) -> None:
    prove(client, "4711", first_name="Anna", last_name="Jones")

    form = client.post("/", ENTERED | {"first_name": "Berta", "email": "berta@"}).context["form"]

    assert form["first_name"].value() == "Berta"
    assert list(form.errors) == ["email"]


def test_a_customer_with_an_open_account_is_redirected_to_it(client: Client) -> None:
    mine = account("created", idp_provider_id="4711", username=ENTERED["username"])
    prove(client, "4711")

    response = client.get("/", follow=True)

    assert response.redirect_chain == [(f"/signup/{mine.reference}/", 302)]
    assert "Your account is ready" in response.content.decode()
    assert client.post("/", ENTERED).headers["Location"] == f"/signup/{mine.reference}/"
    assert Account.objects.count() == 1


def test_a_correction_after_sending_leads_to_the_accounts_page(client: Client) -> None:
    account("created", idp_provider_id="4711", username=ENTERED["username"])
    prove(client, "4711")

    response = client.post("/", ENTERED | {"phone": "555-555-1234"})

    assert response.status_code == 409
    assert "555-555-1234" in response.content.decode()


def test_a_typed_email_address_is_not_shown_as_the_proven_identity(client: Client) -> None:
    prove(client, "4711", -1)
    client.post("/", ENTERED | {"email": "other@nullmailer.com"})

    prove(client, "4711", email="anna@nullmailer.com")

    assert 'logged in as <strong translate="no" dir="auto">anna@nullmailer.com' in page(client)
    assert 'value="other@nullmailer.com"' in page(client)


def test_a_sent_forms_values_are_kept_only_with_the_account(client: Client) -> None:
    prove(client, "4711", 600, **ENTERED)
    client.post("/language/", ENTERED | {"submission": "", "language": "es"})

    client.post("/", ENTERED)

    kept = f"{dict(client.session.items())} {carried_by(client)}"
    assert not [value for value in ENTERED.values() if f"'{value}'" in kept]


def test_a_customer_whose_account_was_closed_can_sign_up_again(known: Client) -> None:
    account("closed", idp_provider_id="4711")

    assert known.post("/", ENTERED).status_code == 302
    assert Account.objects.not_closed().get().idp_provider_id == "4711"


def test_another_customers_form_at_the_same_computer_is_refused(known: Client) -> None:
    form = ENTERED | {"submission": str(uuid.uuid4())}
    first = known.post("/", form)
    prove(known, "4712")

    second = known.post("/", form | {"username": "berta-jones"})

    assert first.headers["Location"] != second.headers["Location"]
    assert set(Account.objects.values_list("idp_provider_id", flat=True)) == {"4711", "4712"}


@pytest.mark.django_db(transaction=True)
def test_concurrent_forms_of_one_customer_create_one_account() -> None:
    def send(number: int) -> str:
        browser = Client()
        prove(browser, "4711")
        return browser.post("/", ENTERED | {"username": f"anna-{number % 4}"}).headers["Location"].partition("?")[0]

    pages = at_once(8, send)

    assert set(pages) == {f"/signup/{Account.objects.get().reference}/"}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("created", "Log in the same way you did here"),
        ("rejected", "Contact us with the reference"),
    ],
)
def test_the_progress_page_mentions_no_password(client: Client, state: str, words: str) -> None:
    account(state, {"idp_provider_id": "Not unique"}, idp_provider_id="4711")
    prove(client, "4711")

    shown = client.get("/", follow=True).content.decode()

    assert words in shown
    assert "the password you chose" not in shown


def test_without_single_sign_on_for_customers_passwords_are_asked_for(client: Client, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = ""
    prove(client, "4711")

    client.post("/", TYPED)

    assert Account.objects.get().idp_provider_id == ""
    assert Account.objects.get().password
