"""Login at a real identity provider, including what no honest provider would do."""

import logging
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from signup.single_sign_on import calls
from signup.single_sign_on import openid as module
from tests.openid import OpenIdProvider
from tests.openid.person import PAGE, Person
from tests.postgresql import free_port
from tests.signup.accounts import TYPED

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DECLINED, UNREACHABLE, WRONG = "was declined", "The login service", "or the login page was opened twice"


@pytest.fixture(autouse=True)
def at_the_provider(settings: Settings, openid: OpenIdProvider) -> None:
    """Configure single sign-on by OpenID Connect only."""
    settings.SIGNUP_LINK_KEY = ""
    settings.OIDC_ISSUER = openid.issuer
    for name, value in openid.settings.items():
        setattr(settings, name, value)


@pytest.fixture
def anna(client: Client) -> Person:
    return Person(client, "anna")


def told(response: Any) -> str:
    """Return the error on the page, which must have a link to try again, and no form."""
    page: str = response.content.decode()
    assert response.status_code in {403, 503}
    assert 'href="/login/"' in page
    assert 'name="submission"' not in page
    return page.partition('role="alert"')[2].partition("</div>")[0]


def test_after_login_the_form_is_filled_in(anna: Person) -> None:
    response = anna.come_back()

    assert response.redirect_chain == [("/", 302)]
    assert response.context["form"].initial == {
        "first_name": "Anna",
        "last_name": "Jones",
        "email": "anna@nullmailer.com",
        "organization_name": "Anna's Bakery",
    }
    assert (
        'You are logged in as <strong translate="no" dir="auto">anna@nullmailer.com</strong>'
        in response.content.decode()
    )


def test_the_account_belongs_to_the_customer_named_by_the_provider(anna: Person) -> None:
    anna.come_back()

    anna.client.post("/", TYPED | {"idp_provider_id": "somebody-else", "first_name": "Annabel"})

    account = Account.objects.get()
    assert (account.idp_provider_id, account.first_name, bool(account.password)) == ("anna", "Annabel", False)


def test_the_id_may_be_in_another_claim(anna: Person, settings: Settings) -> None:
    settings.OIDC_ID_CLAIM = "number"
    anna.come_back()

    anna.client.post("/", TYPED)

    assert Account.objects.get().idp_provider_id == "no-anna"


@pytest.mark.parametrize("claim", ["employee", "groups"])
def test_without_a_valid_id_nobody_gets_in(client: Client, settings: Settings, claim: str) -> None:
    settings.OIDC_ID_CLAIM = claim

    assert "Please ask for help" in told(Person(client, "viewer").come_back())


@pytest.mark.parametrize(
    ("verified", "status"), [({"email_verified": False}, 403), ({"email_verified": True}, 302), ({}, 302)]
)
def test_an_address_that_the_provider_has_not_verified_is_nobodys_id(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, verified: dict[str, bool], status: int
) -> None:
    settings.OIDC_ID_CLAIM = "email"
    claims = {"sub": "berta", "email": "anna@example.com", **verified}
    monkeypatch.setattr("signup.single_sign_on.openid.read_claims", lambda *_: claims)

    assert client.get("/login/callback/").status_code == status


def test_it_asks_for_a_code_with_pkce_state_nonce_and_the_least_scope(client: Client, settings: Settings) -> None:
    asked = parse_qs(urlsplit(client.get("/login/").headers["Location"]).query)

    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert asked["scope"] == ["openid profile email"]
    assert all(len(asked[name][0]) >= 20 for name in ("code_challenge", "state", "nonce"))
    settings.OIDC_STAFF_CLAIM = "groups"
    assert "scope=openid+profile+email+groups" in client.get("/login/").headers["Location"]


def test_another_person_at_the_same_browser_can_log_in_instead(anna: Person) -> None:
    page = anna.come_back().content.decode()
    assert 'href="/login/?again=1"' in page
    anna.client.post("/", TYPED)
    assert 'href="/login/?again=1"' in anna.client.get("/", follow=True).content.decode()

    assert "prompt=login" in anna.client.get("/login/?again=1").headers["Location"]
    assert "prompt" not in anna.client.get("/login/").headers["Location"]


def test_the_next_person_cannot_open_the_first_ones_account(anna: Person) -> None:
    anna.come_back()
    page = anna.client.post("/", TYPED).headers["Location"]
    assert anna.client.get(page).status_code == 200

    Person(anna.client, "berta").come_back()

    assert anna.client.get(page).status_code == 404


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_logs_nobody_in_without_a_click(client: Client, site: str) -> None:
    answer = client.get("/login/", headers={"sec-fetch-site": site})

    assert answer.status_code == 200
    assert 'href="/login/"' in answer.content.decode()
    assert client.get("/login/", headers={"sec-fetch-site": "same-origin"}).status_code == 302


def test_declining_at_the_provider_is_explained(anna: Person) -> None:
    assert DECLINED in told(anna.come_back(decline=True))
    assert 'name="submission"' in anna.come_back().content.decode()


def test_a_callback_address_works_once(anna: Person) -> None:
    back = anna.log_in().removeprefix(PAGE)
    anna.client.get(back)

    for browser in (anna.client, Client()):
        assert WRONG in told(browser.get(back))


def test_a_callback_works_only_in_the_browser_that_started_the_login(anna: Person) -> None:
    stolen = anna.log_in().removeprefix(PAGE)
    other = Client()
    other.get("/login/")

    assert WRONG in told(other.get(stolen))


def test_a_code_works_only_for_the_login_it_was_issued_for(anna: Person) -> None:
    code = parse_qs(urlsplit(anna.log_in()).query)["code"]
    other = Person(Client(), "anna")
    state = parse_qs(urlsplit(other.log_in()).query)["state"]

    assert WRONG in told(other.client.get("/login/callback/", {"code": code, "state": state}))


@pytest.mark.parametrize(
    "query", ["", "code=x", "state=x", "code=x&state=x", "error=nonsense%0Aforged", "code=%01&state=%ff"]
)
def test_a_made_up_callback_address_is_explained(client: Client, query: str) -> None:
    assert WRONG in told(client.get(f"/login/callback/?{query}"))


@pytest.mark.parametrize(
    ("spoiled", "why", "logged"),
    [
        ("nonce", WRONG, "InvalidClaimError invalid_claim nonce"),
        ("audience", WRONG, "InvalidClaimError invalid_claim aud"),
        ("issuer in token", WRONG, "InvalidClaimError invalid_claim iss"),
        ("unsigned", WRONG, "UnsupportedAlgorithmError unsupported_algorithm"),
        ("no id token", WRONG, "KeyError"),
        ("user info", WRONG, "ValueError"),
        ("expired", WRONG, "OAuthError invalid_grant"),
    ],
)
def test_an_invalid_answer_of_the_provider_proves_nothing(
    anna: Person, openid: OpenIdProvider, caplog: pytest.LogCaptureFixture, spoiled: str, why: str, logged: str
) -> None:
    openid.spoiled = spoiled

    assert why in told(anna.come_back())
    assert f"login failed error={logged}" in caplog.text
    assert 'name="submission"' not in anna.client.get("/").content.decode()
    assert not any("proof" in session.get_decoded() for session in Session.objects.all())


def test_another_issuer_is_not_contacted(client: Client, openid: OpenIdProvider) -> None:
    openid.spoiled = "issuer"

    assert WRONG in told(client.get("/login/"))


@pytest.mark.parametrize("spoiled", ["broken", "slow", "gone"])
def test_a_provider_that_does_not_answer_is_explained(
    anna: Person, openid: OpenIdProvider, settings: Settings, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    back = anna.log_in().removeprefix(PAGE)
    monkeypatch.setattr(calls, "DEADLINE", 0.5)
    module.metadata_cache.clear()
    openid.spoiled = spoiled
    if spoiled == "gone":
        settings.OIDC_ISSUER = f"http://localhost:{free_port()}"

    assert UNREACHABLE in told(anna.client.get("/login/"))
    assert UNREACHABLE in told(anna.client.get(back))


def test_typed_values_survive_a_new_login(anna: Person) -> None:
    anna.client.post("/", TYPED | {"phone": "12"})

    assert anna.come_back().context["form"].initial["phone"] == "12"


def test_no_secret_of_a_login_is_logged_or_shown(
    anna: Person, openid: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    back = anna.log_in()
    shown = [anna.client.get(back.removeprefix(PAGE)), anna.client.get("/"), anna.client.get(back.removeprefix(PAGE))]
    openid.spoiled = "no id token"
    shown.append(anna.come_back())

    kept = str([session.get_decoded() for session in Session.objects.all()])
    told = caplog.text + kept + "".join(response.content.decode() for response in shown)
    asked = parse_qs(urlsplit(back).query)
    for secret in (openid.settings["OIDC_CLIENT_SECRET"], asked["code"][0], "code_verifier="):
        assert secret not in told
    assert not re.search(r"eyJ[\w-]+\.eyJ", told)  # A token: random text can have the beginning of one.


@pytest.mark.parametrize("path", ["/login/", "/login/callback/"])
@pytest.mark.parametrize("setting", ["CONSTANT_CONTACT_IDP_PROVIDER", "OIDC_ISSUER"])
def test_without_openid_there_is_no_such_page(client: Client, settings: Settings, path: str, setting: str) -> None:
    setattr(settings, setting, "")

    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 405
