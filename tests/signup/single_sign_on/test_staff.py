"""Staff log in through the identity provider, which decides who they are and what they may do."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.admin_site.sessions import AUTHENTICATED
from provisioning.sealed import Sealed
from signup.models import StaffIdentity
from signup.single_sign_on import openid, staff
from signup.single_sign_on.openid import metadata_cache
from signup.single_sign_on.proof import NotProven
from tests.openid import OpenIdProvider
from tests.openid.person import PAGE, Person
from tests.signup.accounts import account

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LOG_IN = "/admin/log-in/"


@pytest.fixture(autouse=True)
def at_the_provider(settings: Settings, openid: OpenIdProvider) -> None:
    """Configure single sign-on for staff only, while customers choose passwords."""
    settings.CONSTANT_CONTACT_IDP_PROVIDER = settings.SIGNUP_LINK_KEY = ""
    settings.OIDC_STAFF_CLAIM = "groups"
    settings.OIDC_ISSUER = openid.issuer
    for name, value in openid.settings.items():
        setattr(settings, name, value)


def come(name: str, client: Client | None = None, query: str = "") -> Any:
    return Person(client or Client(), name).come_back(LOG_IN + query)


def age(client: Client) -> None:
    """Make the proof in this browser's session too old."""
    session = client.session
    session.pop(AUTHENTICATED, None)
    session.save()


def roles(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "1", "groups": ["Viewer"], "email": "vera@nullmailer.com"} | changes


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_logs_nobody_in_without_a_click(client: Client, site: str) -> None:
    answer = client.get(LOG_IN, headers={"sec-fetch-site": site})

    assert answer.headers["Location"] == "/admin/login/"
    assert f'href="{LOG_IN}"' in client.get("/admin/login/").content.decode()
    assert client.get(LOG_IN, headers={"sec-fetch-site": "same-origin"}).headers["Location"] != "/admin/login/"


def test_staff_can_be_logged_in_in_two_browsers() -> None:
    first, second = Client(), Client()
    come("operator", first)
    come("operator", second)

    assert first.get("/admin/").status_code == second.get("/admin/").status_code == 200


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Administrator"])
def test_staff_get_only_the_groups_that_the_provider_names(client: Client, role: str) -> None:
    response = come(role.lower(), client)

    user = User.objects.get()
    assert response.redirect_chain == [("/admin/", 302)]
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (True, False, False)
    assert roles(user) == {role}
    assert user.email == user.username == f"{role.lower()}@nullmailer.com"
    assert client.session.get_expiry_date() < timezone.now() + timedelta(hours=13)


def test_a_returning_user_is_updated_with_the_providers_values() -> None:
    first = staff.update_or_create_user(claims(given_name="Vera"))
    first.user_permissions.add(Permission.objects.all()[0])
    first.set_password("given-here")
    first.is_superuser = True
    first.save()

    again = staff.update_or_create_user(
        claims(groups=["Operator", "Administrator", "Everybody"], email="new@nullmailer.com")
    )

    assert again.pk == first.pk
    assert roles(again) == {"Operator", "Administrator"}
    assert (again.email, again.first_name, again.is_superuser) == ("new@nullmailer.com", "", False)
    assert not again.has_usable_password()
    assert not again.user_permissions.exists()
    assert str(StaffIdentity.objects.get()) == "vera@nullmailer.com"


def test_users_are_matched_by_neither_email_nor_another_issuer(settings: Settings) -> None:
    local = User.objects.create_superuser("vera@nullmailer.com", "vera@nullmailer.com", "local-word")
    first = staff.update_or_create_user(claims())
    settings.OIDC_ISSUER = "https://other.example.com"
    second = staff.update_or_create_user(claims())

    assert len({local.pk, first.pk, second.pk}) == 3
    assert [first.username, second.username] == ["vera@nullmailer.com-2", "vera@nullmailer.com-3"]
    local.refresh_from_db()
    assert local.check_password("local-word")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"preferred_username": "Vera Vega"}, "Vera-Vega"),
        ({"preferred_username": 7, "email": None}, "1"),
        ({"preferred_username": "v" * 500}, "v" * 140),
        ({"preferred_username": "\0ve\ud800ra"}, "vera"),
    ],
    ids=str,
)
def test_users_get_a_recognizable_name(changes: dict[str, Any], name: str) -> None:
    assert staff.update_or_create_user(claims(**changes)).username == name


@pytest.mark.parametrize("groups", [None, [], "", "Everybody", ["viewer"], {"Viewer": 1}, 7, [["Viewer"]]], ids=repr)
def test_without_a_group_no_login_is_possible_and_no_user_is_created(groups: Any) -> None:
    with pytest.raises(NotProven, match="none of your groups"):
        staff.update_or_create_user(claims(groups=groups))

    assert not User.objects.exists()


def test_a_user_who_left_all_groups_loses_their_permissions() -> None:
    user = staff.update_or_create_user(claims())
    with pytest.raises(NotProven, match="none of your groups"):
        staff.update_or_create_user(claims(groups=[]))

    user.refresh_from_db()
    assert (roles(user), user.is_staff) == (set(), False)


def test_the_login_page_explains_that_a_group_is_missing(client: Client) -> None:
    response = come("nobody", client)

    page = response.content.decode()
    assert response.redirect_chain == [("/admin/login/", 302)]
    assert "none of your groups has a role here" in page
    assert 'name="password"' in page
    assert "_auth_user_id" not in client.session


def test_a_deactivated_user_cannot_log_in(client: Client) -> None:
    come("viewer")
    User.objects.update(is_active=False)

    assert "has been deactivated here" in come("viewer", client).content.decode()
    assert "_auth_user_id" not in client.session


def test_the_loser_of_a_race_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(User.objects, "create_user", lost)
    with pytest.raises(NotProven, match="try again"):
        staff.update_or_create_user(claims())


def test_problems_at_the_provider_are_explained(client: Client, openid: OpenIdProvider) -> None:
    openid.spoiled = "nonce"
    assert "or the login page was opened twice" in come("viewer", client).content.decode()
    metadata_cache.clear()
    openid.spoiled = "broken"
    assert "The login service" in client.get(LOG_IN, follow=True).content.decode()


def test_a_customers_login_does_not_open_the_admin(client: Client, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    back = Person(client, "administrator").log_in("/login/").removeprefix(PAGE)

    client.get(back.replace("/login/callback/", "/admin/log-in/callback/"))

    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("path", [LOG_IN, f"{LOG_IN}callback/"])
def test_without_the_groups_claim_there_is_no_single_sign_on_for_staff(
    client: Client, settings: Settings, path: str
) -> None:
    assert f'href="{LOG_IN}"' in client.get("/admin/login/").content.decode()

    settings.OIDC_STAFF_CLAIM = ""

    assert client.get(path).status_code == 404
    assert LOG_IN not in client.get("/admin/login/").content.decode()


class TestWithoutAPassword:
    """Users of the provider have no password here that could be guessed, and reach no dead end."""

    def test_no_password_logs_the_user_in(self, client: Client) -> None:
        come("administrator")

        client.post("/admin/login/", {"username": "administrator@nullmailer.com", "password": "", "code": ""})

        assert "_auth_user_id" not in client.session

    def test_two_factor_authentication_is_up_to_the_provider(self, client: Client) -> None:
        come("viewer", client)

        assert "two-factor" not in client.get("/admin/").content.decode()
        for response in (client.get("/admin/two-factor/"), client.post("/admin/two-factor/", {"code": "1"})):
            assert "Set up two-factor authentication there" in response.content.decode()
            assert "<form" not in response.content.decode().partition('id="content-main"')[2]

    def test_a_token_is_shown_after_a_fresh_login_at_the_provider(self, client: Client) -> None:
        ada = Person(client, "administrator")
        ada.come_back(LOG_IN)
        of = account("created", oauth2_token=Sealed.of("canary-token"))
        token = f"/admin/provisioning/account/{of.pk}/token/"

        age(client)
        asked = client.get(token, follow=True)
        again = re.search('href="(/admin/log-in/[^"]+)"', asked.content.decode())
        assert again
        response = ada.come_back(unescape(again[1]))

        assert response.redirect_chain[-1] == (token, 302)
        assert "canary-token" in client.post(token).content.decode()

    @pytest.mark.parametrize("said", [{}, {"auth_time": 1}, {"auth_time": True}, {"auth_time": "now"}])
    def test_a_provider_that_omits_the_time_of_the_login_proves_nothing(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
    ) -> None:
        read = openid.read_claims

        def changed(*arguments: Any) -> dict[str, Any]:
            return {name: value for name, value in read(*arguments).items() if name != "auth_time"} | said

        monkeypatch.setattr(openid, "read_claims", changed)
        come("administrator", client)
        come("administrator", client, "?again&next=/admin/auth/user/")

        assert client.get("/admin/auth/user/add/").headers["Location"].startswith("/admin/confirm/")

    @pytest.mark.parametrize("back", ["https://evil.example.com/", "//evil.example.com/admin/", "/login/"])
    def test_the_callback_never_redirects_to_another_site(self, client: Client, back: str) -> None:
        come("viewer", client)
        assert come("viewer", client, f"?again&next={back}").redirect_chain[-1] == ("/admin/", 302)
