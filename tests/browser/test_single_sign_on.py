"""Single sign-on in a real browser, with a real OpenID provider."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from signup.single_sign_on import link
from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.journey import expect_heading, fill_in, fresh_name, send
from tests.openid import OpenIdProvider
from tests.postgresql import PostgreSQL

KEY = "canary-link-key-" + "k" * 32
SETTINGS = {
    "CONSTANT_CONTACT_IDP_PROVIDER": "alder",
    "CONSTANT_CONTACT_LOGIN_URL": "https://id.example.com/constant-contact",
    "SIGNUP_LINK_KEY": KEY,
    "OIDC_STAFF_CLAIM": "groups",
    "BRAND_NAME": "Alder",
}


def installation(directory: Path, openid: OpenIdProvider, **more: str) -> Installation:
    return Installation(directory, OIDC_ISSUER=openid.issuer, **openid.settings, **SETTINGS, **more)


@pytest.fixture(scope="module")
def site(
    chromium: str, openid_provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("single-sign-on"), openid_provider) as site:
        yield site


@pytest.fixture(autouse=True)
def partners_system(settings: Settings) -> None:
    """Let this process sign links."""
    settings.SIGNUP_LINK_KEY = KEY


def log_in(page: Page, name: str) -> None:
    """Go from the login page through the provider's pages to the form."""
    page.get_by_role("link", name="Continue with Alder").click()
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def link_to(site: Installation, idp_provider_id: str, **values: str) -> str:
    return f"{site.url}/start/?token={link.make(idp_provider_id, values, site.url)}"


def sign_up(page: Page, username: str) -> None:
    expect(page.locator("[type=password]")).to_have_count(0)
    fill_in(page, username, password=None)
    send(page)


def expect_problem(page: Page, text: str) -> None:
    expect(page.get_by_role("alert")).to_contain_text(text)
    expect(page.locator("main form")).to_have_count(0)
    expect(page.get_by_role("link", name="Continue with Alder")).to_be_visible()


def both_ways(site: Installation, visit: Open, **options: Any) -> None:
    """Check that a customer who signs in at the provider and one who follows a link both get their account."""
    anna, berta = fresh_name("anna"), fresh_name("berta")
    page = visit(site.url, **options)
    log_in(page, anna)
    expect(page.get_by_text(f"You are logged in as {anna}@nullmailer.com")).to_be_visible()
    expect(page.get_by_label("First name")).to_have_value("Anna")
    sign_up(page, anna)
    other = visit(link_to(site, berta, organization_name="Berta's Bakery"), **options)
    expect(other.get_by_label("Organization name")).to_have_value("Berta's Bakery")
    sign_up(other, berta)

    with site.worker():
        for each in (page, other):
            expect_heading(each, "Your account is ready")
            expect(each.get_by_text("you don't need another password")).to_be_visible()

    for name in (anna, berta):
        sent = site.provider.accounts[name].properties
        assert (sent["idp_provider"], sent["idp_provider_id"], "password" in sent) == ("alder", name, False)


@pytest.mark.parametrize(
    "javascript", [True, pytest.param(False, marks=pytest.mark.long)], ids=["with JavaScript", "without"]
)
def test_customers_sign_up_by_both_kinds_of_single_sign_on(site: Installation, visit: Open, javascript: bool) -> None:
    both_ways(site, visit, javascript=javascript)


@pytest.mark.long
def test_both_kinds_with_v3(openid: OpenIdProvider, visit: Open, tmp_path: Path, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    with installation(tmp_path, openid) as site:
        both_ways(site, visit)


@pytest.mark.long  # What differs between the databases is tested without a browser.
def test_both_kinds_on_postgresql(openid: OpenIdProvider, visit: Open, database: PostgreSQL, tmp_path: Path) -> None:
    with installation(tmp_path, openid, DATABASE_URL=database.url) as site:
        both_ways(site, visit)


@pytest.mark.long  # Each of the two is tested above.
def test_both_kinds_on_postgresql_with_v3(
    openid: OpenIdProvider, visit: Open, database: PostgreSQL, tmp_path: Path, settings: Settings
) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    with installation(tmp_path, openid, DATABASE_URL=database.url) as site:
        both_ways(site, visit)


class TestOpenId:
    def test_a_customer_who_declines_can_try_again(self, visit: Open) -> None:
        page = visit("/")
        page.get_by_role("link", name="Continue with Alder").click()
        page.get_by_role("link", name="Cancel").click()
        expect_problem(page, "the request was declined")

        log_in(page, fresh_name())
        expect(page.get_by_text("You are logged in as")).to_be_visible()

    def test_an_invalid_answer_proves_nothing_and_can_be_tried_again(self, visit: Open, openid: OpenIdProvider) -> None:
        openid.spoiled = "nonce"
        page = visit("/")
        log_in(page, fresh_name())
        expect_problem(page, "Logging in didn't work")

        openid.spoiled = ""
        page.get_by_role("link", name="Continue with Alder").click()
        page.get_by_role("button", name=re.compile("Sign-in|Continue")).or_(page.get_by_text("logged in as")).wait_for()

    @pytest.mark.long  # The answers are the same without a browser.
    @pytest.mark.parametrize(
        ("spoiled", "problem"), [("issuer", "Logging in didn't work"), ("broken", "can't be reached right now")]
    )
    def test_nobody_is_sent_to_the_wrong_provider(
        self, visit: Open, openid: OpenIdProvider, spoiled: str, problem: str, tmp_path: Path
    ) -> None:
        """It needs a new installation, because a provider's metadata is cached for an hour."""
        openid.spoiled = spoiled
        with installation(tmp_path, openid) as new:
            page = visit(new.url)
            page.get_by_role("link", name="Continue with Alder").click()
            expect_problem(page, problem)

    def test_one_browsers_answer_logs_no_other_browser_in(self, visit: Open) -> None:
        page = visit("/")
        back: list[str] = []
        page.on("request", lambda request: back.append(request.url) if "/login/callback/" in request.url else None)
        log_in(page, fresh_name())
        expect(page.get_by_text("You are logged in as")).to_be_visible()

        expect_problem(visit(back[0]), "Logging in didn't work")

    def test_a_returning_customer_gets_to_their_account_in_any_browser(self, site: Installation, visit: Open) -> None:
        name = fresh_name()
        page = visit("/")
        log_in(page, name)
        sign_up(page, name)
        expect_heading(page, "We are creating your account")

        other = visit("/")
        log_in(other, name)
        expect_heading(other, "We are creating your account")
        assert other.url == page.url


class TestLink:
    def test_a_used_one_works_for_the_browser_that_used_it_only(self, site: Installation, visit: Open) -> None:
        address = link_to(site, fresh_name())
        page = visit(address)
        expect(page.get_by_text("You are logged in as")).to_be_visible()
        page.goto(address)
        expect(page.get_by_text("You are logged in as")).to_be_visible()

        expect_problem(visit(address), "has already been used")

    def test_a_tampered_one_proves_nothing(self, site: Installation, visit: Open) -> None:
        head, _, signature = link.make("anna", {}, site.url).split(".")
        claims = link.make("berta", {}, site.url).split(".")[1]

        expect_problem(visit(f"/start/?token={head}.{claims}.{signature}"), "part of it is missing")

    def test_an_expired_one_proves_nothing(self, site: Installation, visit: Open) -> None:
        token = link.make("anna", {}, site.url, lifetime=-120)

        expect_problem(visit(f"/start/?token={token}"), "has expired")


def test_typed_values_survive_a_lost_session(visit: Open) -> None:
    name = fresh_name()
    page = visit("/")
    log_in(page, name)
    fill_in(page, name, password=None, phone="020 7946 0000")
    page.context.clear_cookies(name="__Host-sessionid")
    send(page)
    expect_problem(page, "everything you typed is kept")

    page.get_by_role("link", name="Continue with Alder").click()
    expect(page.get_by_label("Phone number")).to_have_value("020 7946 0000")
    expect(page.get_by_label("Username")).to_have_value(name)
    expect(page.get_by_label("State or province")).to_have_value("MA")
    send(page)
    expect_heading(page, "We are creating your account")


LOOKS: list[Any] = [
    {"width": 320, "color_scheme": "dark", "locale": "fr-CA"},
    pytest.param({"width": 1280}, marks=pytest.mark.long),
    pytest.param({"width": 640, "device_scale_factor": 2, "locale": "es-MX"}, marks=pytest.mark.long),
]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_every_page_is_accessible_and_fits(
    site: Installation, visit: Open, accessible: Callable[[Page], None], look: dict[str, Any]
) -> None:
    page = visit("/", **look)
    forms = []
    for path in ("/", "/start/?token=broken", link_to(site, fresh_name())):
        page.goto(path)
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        forms.append(page.locator("main form").count())
    assert forms == [0, 0, 1]


class TestStaff:
    @pytest.fixture
    def in_the_admin(self, visit: Open) -> Callable[..., Page]:
        """Return a function that opens the admin and logs in at the provider."""

        def come(name: str, **options: Any) -> Page:
            page = visit("/admin/", **options)
            page.get_by_role("link", name="Log in with your identity provider").click()
            page.get_by_placeholder("Enter any login").fill(name)
            page.get_by_placeholder("and password").fill("any")
            page.get_by_role("button", name="Sign-in").click()
            page.get_by_role("button", name="Continue").click()
            return page

        return come

    def test_a_member_of_a_group_gets_its_permissions(
        self, in_the_admin: Callable[..., Page], accessible: Callable[[Page], None]
    ) -> None:
        page = in_the_admin(fresh_name("operator"))
        expect_heading(page, "Overview")
        expect(page.locator("#user-tools")).to_contain_text("Olga")
        expect(page.get_by_role("link", name="Users")).to_have_count(0)
        page.goto("/admin/two-factor/")
        accessible(page)

    def test_staff_without_a_group_are_told_so(
        self, in_the_admin: Callable[..., Page], accessible: Callable[[Page], None]
    ) -> None:
        page = in_the_admin(fresh_name("nobody"))
        expect(page.get_by_text("none of your groups has a role here")).to_be_visible()
        expect(page.get_by_label("Password")).to_be_visible()
        accessible(page)
