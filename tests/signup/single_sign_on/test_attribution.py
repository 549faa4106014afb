"""Where a customer came from is kept while they log in with single sign-on."""

import re
import time
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from provisioning.models import Account
from tests.signup.accounts import TYPED
from tests.signup.single_sign_on.links import follow, token
from tests.signup.single_sign_on.test_proof import carried_by, prove
from tests.signup.test_attribution import CAME_FROM, ELSEWHERE, QUERY, field, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def openid(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer a login at an identity provider, and let it fail before the browser gets there."""
    settings.OIDC_ISSUER = "https://id.example.com"


def log_in_link(page: Any) -> str:
    return str(re.findall(r'href="(/login/[^"]*)"', page.content.decode())[0])


def test_a_visit_sets_no_cookie_for_it(client: Client) -> None:
    page = client.get("/", QUERY, headers=ELSEWHERE)

    assert settings.PRE_LOGIN_COOKIE_NAME not in page.cookies


@pytest.mark.usefixtures("openid")
def test_it_is_kept_while_the_customer_logs_in(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page = client.get("/", QUERY, headers=ELSEWHERE)
    client.get(log_in_link(page))
    assert carried_by(client)["attribution"] == CAME_FROM

    prove(client, "4711")
    page = client.get("/", headers={"referer": "https://id.example.com/"})
    client.post("/", TYPED | {"attribution": field(page)})

    assert stored() == CAME_FROM
    assert "attribution" not in carried_by(client)


@pytest.mark.usefixtures("openid")
def test_the_identity_provider_is_nowhere_to_come_from(client: Client) -> None:
    prove(client, "4711")

    page = client.get("/", headers={"referer": "https://id.example.com/"})

    assert field(page) == ""


@pytest.mark.usefixtures("openid")
def test_it_survives_a_change_of_the_language_before_the_login(client: Client) -> None:
    page = client.get("/", QUERY, headers=ELSEWHERE)
    next_page = re.findall(r'name="next" value="([^"]*)"', page.content.decode())[0]

    page = client.post("/language/", {"language": "fr", "next": next_page}, follow=True)
    client.get(log_in_link(page))

    assert carried_by(client)["attribution"] == CAME_FROM


def test_a_signed_links_address_can_carry_it(client: Client) -> None:
    page = client.get("/start/", {"token": token(), **QUERY}, headers=ELSEWHERE, follow=True)

    client.post("/", TYPED | {"attribution": field(page)})

    assert stored() == CAME_FROM


def test_it_is_kept_when_the_proof_has_expired(client: Client) -> None:
    page = client.get("/start/", {"token": token(), **QUERY}, headers=ELSEWHERE, follow=True)
    sent = TYPED | {"attribution": field(page)}
    session = client.session
    session["proof"] |= {"until": time.time() - 1}
    session.save()

    assert client.post("/", sent).status_code == 403
    page = follow(client, token())
    client.post("/", TYPED | {"attribution": field(page)})

    assert stored() == CAME_FROM


def test_without_the_field_the_cookie_is_enough(client: Client) -> None:
    client.get("/start/", {"token": token(), **QUERY}, headers=ELSEWHERE, follow=True)

    client.post("/", TYPED)

    assert Account.objects.get().attribution == CAME_FROM
