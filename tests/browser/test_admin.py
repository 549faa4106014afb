"""Staff's daily work in the admin, in a real Chromium."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import COLORS, Open, check_accessibility
from tests.browser.installation import Installation
from tests.browser.keyboard import walk
from tests.provisioning.sandbox.partner import until

PASSWORD = "staff-word-1"

STAFF_AND_THEIR_WORK = f"""
import uuid
from datetime import timedelta
from django.contrib.auth.models import Group, User
from django.db.models.functions import Now
from provisioning.models import *
from provisioning.sealed import Sealed
for group in Group.objects.all():
    User.objects.create_user(group.name.lower(), password={PASSWORD!r}, is_staff=True).groups.add(group)
User.objects.create_superuser("superuser", password={PASSWORD!r})
reason = "Not a valid phone number"
for name in ("Kappa Books", "Zeta Cycles"):  # One is corrected in the morning, and the other is still there afterwards.
    username = name.replace(" ", ".").lower()
    account = Account.objects.create(
        submission=uuid.uuid4(), state="rejected", due_at=Now() + timedelta(days=7), organization_name=name,
        country_code="GB", first_name="Zoe", last_name="Jones", email="zoe@nullmailer.com", phone="12345 ext",
        username=username, password=Sealed.of("not-a-real-one"),
    )
    Attempt.objects.create(account=account, kind="create", username=username).complete(
        outcome="refused", status=400, duration=timedelta(seconds=1), error_key="json.regex.invalid",
        error_message="#/phone: " + reason, refused={{"phone": reason}},
        answer='[{{"error_key": "json.regex.invalid"}}]',
    )
Account.objects.create(
    submission=uuid.uuid4(), state="created", account_id="4711", organization_name="Theta Yoga", country_code="GB",
    first_name="Tim", last_name="Theta", email="tim@nullmailer.com", phone="12345", username="theta.yoga",
    oauth2_token=Sealed.of("not-a-real-token"), created_at=Now(),
)
for state, name in (("held", "Iota Inn"), ("unconfirmed", "Sigma Skates")):
    account = Account.objects.create(
        submission=uuid.uuid4(), state=state, organization_name=name, country_code="GB", first_name="Ida",
        last_name="Iota", email="ida@nullmailer.com", phone="12345", username=name.replace(" ", ".").lower(),
    )
Attempt.objects.create(account=account, kind="create", username=account.username).complete(outcome="unknown")
"""
SYSTEMS = """
from django.utils import timezone
from provisioning.models import Account, Delivery, DeliveryAttempt, Endpoint, Event, NoticeRule
from provisioning.sealed import Sealed
from signup.api import keys
from signup.models import ApiKey, Brand, LegalText
crm = {"name": "CRM", "url": "https://crm.example.com/", "events": ["signup.created"], "secret": Sealed.of("x")}
told = Endpoint.objects.create(**crm)
event = Event.objects.create(type="signup.created", account=Account.objects.first(), data={})
delivery = Delivery.objects.create(event=event, endpoint=told, state="failed", due_at=None)
DeliveryAttempt.objects.create(delivery=delivery, ended_at=timezone.now(), status=500, answer="word " * 200)
NoticeRule.objects.create(name="Support", incidents=["stopped"], channel="slack", url=Sealed.of("https://example.com/"))
keys.create(ApiKey(name="CRM", scopes=["create", "read"]))
brand = Brand.objects.create(name="Birch", host="birch.example.com")
for version in ("2026-11", "2026-12"):
    text = LegalText(brand=brand, kind="terms", version=version, text="word " * 200)
    text.publish(timezone.now())
    text.save()
"""
DECIDE = "/admin/provisioning/account/?q=sigma"


PROOF_IS_OLD = """
from django.contrib.sessions.backends.db import SessionStore
session = SessionStore("{key}")
session["staff.proven"] = 0
session.save()
"""


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("admin")) as installation:
        installation.manage("seed", "60", "--days=40", DEBUG="true")
        installation.manage("shell", "-v0", "-c", STAFF_AND_THEIR_WORK)
        installation.manage("shell", "-v0", "-c", SYSTEMS)
        yield installation


@pytest.fixture(scope="module")
def sessions(site: Installation) -> dict[str, list[str]]:
    return site.staff_sessions(each=5)


@pytest.fixture
def open_admin(visit: Open, sessions: dict[str, list[str]]) -> Callable[..., Page]:
    """Return a function that opens the admin as a staff member with a role, who is logged in already."""

    def opened(role: str, **options: Any) -> Page:
        return visit("/admin/", session=sessions[role.lower()].pop(), **options)

    return opened


def log_in(page: Page, role: str) -> None:
    page.get_by_label("Username").fill(role.lower())
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


ACCOUNTS = "/admin/provisioning/account/"
PAGES = (
    ACCOUNTS,
    f"{ACCOUNTS}?q=nobody",
    f"{ACCOUNTS}held/",
    f"{ACCOUNTS}add/",  # Forbidden.
    "/admin/provisioning/auditentry/",
    "/admin/provisioning/gateway/",
    "/admin/provisioning/worker/",
    "/admin/provisioning/endpoint/add/",
    "/admin/provisioning/endpoint/1/change/",
    "/admin/provisioning/endpoint/1/secret/",
    "/admin/provisioning/delivery/",
    "/admin/provisioning/delivery/1/change/",
    "/admin/provisioning/noticerule/add/",
    "/admin/provisioning/noticerule/1/change/",
    "/admin/provisioning/incident/",
    "/admin/health/",
    "/admin/auth/user/add/",
    "/admin/signup/apikey/",
    "/admin/signup/apikey/add/",
    "/admin/signup/apikey/1/change/",
    "/admin/signup/legaltext/",
    "/admin/signup/legaltext/add/",
    "/admin/signup/legaltext/1/change/",
    "/admin/signup/brand/add/",
    "/admin/password_change/",
    "/admin/two-factor/",
    "/admin/sessions/",
    "/admin/confirm/",
)


def go_round(page: Page, look: Callable[[Page], None]) -> None:
    """Call `look` on every page of the admin, in each of its states."""
    for path in PAGES:
        page.goto(path)
        look(page)
    page.goto(f"{ACCOUNTS}?state__exact=rejected")
    page.locator(".action-select").first.check()
    page.locator("select[name=action]").select_option("close")
    page.get_by_role("button", name="Go", exact=True).click()
    look(page)
    page.goto("/admin/")
    page.get_by_text("As a table").click()
    look(page)
    page.goto("/admin/auth/user/")
    page.get_by_role("link", name="operator", exact=True).click()
    expect(page.get_by_label("Operator", exact=True)).to_be_checked()
    look(page)
    decide(page)
    look(page)
    go_round_an_account(page, look, "state__exact=rejected", "close", "erase", "correct")
    page.get_by_label("Phone").fill("")
    page.get_by_role("button", name="Correct").click()
    expect(page.locator(".errorlist").first).to_be_visible()
    look(page)
    go_round_an_account(page, look, "q=theta", "wipe_token", "token")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="See the customer's page").click()
    look(page)
    page.get_by_role("link", name="Back to the account").click()
    page.get_by_role("button", name="Get a link to it").click()
    look(page)


def go_round_an_account(page: Page, look: Callable[[Page], None], query: str, *pages: str) -> None:
    """Call `look` on the page of the first account that matches, and on these pages about it."""
    page.goto(f"{ACCOUNTS}?{query}")
    page.locator(".field-customer a").first.click()
    for answer in page.get_by_text("Full answer").all():
        answer.click()
    look(page)
    organization = page.locator("#content h1").inner_text()
    account = page.url.partition("change/")[0]
    for name in pages:
        page.goto(f"{account}{name}/")
        expect(page.locator("#content h1")).not_to_have_text(organization)
        look(page)


def decide(page: Page) -> None:
    page.goto(DECIDE)
    page.locator(".field-customer a").first.click()
    page.get_by_role("link", name="Decide whether it exists").click()
    expect(page.get_by_role("button", name="Save decision")).to_be_visible()


def fits(page: Page) -> bool:
    """Whether the page is no wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.long  # `test_every_place_of_a_role` looks at all lists, and other tests at single pages.
@pytest.mark.parametrize(("scheme", "width", "rules"), [("light", 1280, ()), ("dark", 320, COLORS)])
def test_every_page_of_the_admin_is_accessible_and_fits(
    open_admin: Callable[..., Page], scheme: str, width: int, rules: Sequence[str]
) -> None:
    def look(page: Page) -> None:
        check_accessibility(page, rules)
        assert fits(page), page.url

    go_round(open_admin("Administrator", color_scheme=scheme, width=width), look)


# A viewer sees less of the same pages than a superuser does.
@pytest.mark.parametrize("role", ["Superuser", pytest.param("Viewer", marks=pytest.mark.long)])
def test_every_place_of_a_role_is_accessible_and_fits_a_phone(
    open_admin: Callable[..., Page], accessible: Callable[[Page], None], role: str
) -> None:
    page = open_admin(role, width=320)
    left, seen = ["/admin/"], set[str]()
    while left:
        path = left.pop()
        page.goto(path)
        accessible(page)
        assert fits(page), path
        seen.add(path)
        links = page.locator(".navigation a, tbody tr:first-child th a").all()
        found = {str(link.get_attribute("href")) for link in links}
        left += found - seen - set(left)
    assert len(seen) > 10


def test_navigation_filters_and_menu_need_neither_mouse_nor_script(open_admin: Callable[..., Page]) -> None:
    page = open_admin("Operator", javascript=False, width=375)
    page.get_by_role("link", name="Sign-ups", exact=True).press("Enter")
    page.get_by_role("link", name="Rejected").press("Enter")
    page.locator("summary", has_text="Country").press("Enter")
    page.get_by_role("link", name="United Kingdom").press("Enter")
    expect(page.locator("#result_list tbody tr").first).to_contain_text("GB")
    expect(page.locator("#result_list thead")).to_be_hidden()
    page.locator(".menu summary").press("Enter")
    page.get_by_role("link", name="Sessions").press("Enter")
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()


def test_everything_is_reached_with_the_tab_key(open_admin: Callable[..., Page]) -> None:
    """`test_every_page` does this for every page and role."""
    page = open_admin("Administrator")
    for path in (f"{ACCOUNTS}?state__exact=rejected", "/admin/signup/apikey/add/"):
        page.goto(path)
        walk(page)


def test_escape_and_the_focus_elsewhere_close_menus_and_filters(open_admin: Callable[..., Page]) -> None:
    page = open_admin("Operator")
    page.goto(ACCOUNTS)
    for summary in (page.locator(".menu summary"), page.locator("summary", has_text="Country")):
        summary.press("Enter")
        page.keyboard.press("Tab")
        expect(summary.locator("..")).to_have_attribute("open", "")
        page.keyboard.press("Escape")
        expect(summary.locator("..")).not_to_have_attribute("open", "")
        expect(summary).to_be_focused()
        summary.press("Enter")
        page.get_by_label("Search").focus()
        expect(summary.locator("..")).not_to_have_attribute("open", "")


def test_the_login_page_is_accessible(visit: Open, accessible: Callable[[Page], None]) -> None:
    page = visit("/admin/")
    accessible(page)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".errornote")).to_be_visible()
    accessible(page)
    for _ in range(4):
        page.get_by_label("Username").fill("nobody")
        page.get_by_label("Password").fill("nothing")
        page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Too many failed logins")).to_be_visible()
    accessible(page)


def test_the_warning_of_a_stopped_gateway_is_accessible(
    open_admin: Callable[..., Page], site: Installation, accessible: Callable[[Page], None]
) -> None:
    site.manage("shell", "-v0", "-c", "from provisioning import gateway; gateway.stop('401: no such user')")
    page = open_admin("Operator", color_scheme="light")
    expect(page.get_by_text("Sending is stopped.")).to_be_visible()
    accessible(page)
    page.emulate_media(color_scheme="dark")
    check_accessibility(page, COLORS)
    page.get_by_role("button", name="Resume sending").click()
    expect(page.locator(".messagelist")).to_contain_text("Sending resumed.")


def test_an_accounts_token_is_shown_after_fresh_proof(open_admin: Callable[..., Page], site: Installation) -> None:
    page = open_admin("Administrator", javascript=False)
    page.goto("/admin/provisioning/account/?q=theta")
    page.get_by_role("link", name="Theta Yoga").click()
    (key,) = (cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "__Host-sessionid")
    site.manage("shell", "-v0", "-c", PROOF_IS_OLD.format(key=key))
    page.get_by_role("link", name="Show access token").click()
    page.get_by_label("Your password").fill("guess")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This password is wrong.")).to_be_visible()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Show access token").click()
    expect(page.locator(".token")).to_have_text("not-a-real-token")
    page.get_by_role("link", name="Back to the account").click()
    expect(page.locator(".timeline")).to_contain_text("Access token shown by administrator.")


def test_a_morning_in_the_admin_without_javascript(visit: Open, site: Installation) -> None:
    page = visit("/admin/", javascript=False)
    log_in(page, "Operator")
    page.get_by_role("link", name="a correction").click()
    page.get_by_label("Search").fill("zeta cyc")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Zeta Cycles").click()
    expect(page.locator(".timeline")).to_contain_text("Phone: Not a valid phone number")
    page.get_by_role("link", name="Correct and retry").click()
    page.get_by_label("Phone").fill("12")
    page.get_by_role("button", name="Correct and retry").click()
    expect(page.get_by_text("Use at least 5 digits.")).to_be_visible()
    page.get_by_label("Phone").fill("020 7946 0000")
    page.get_by_role("button", name="Correct and retry").click()
    expect(page.locator(".messagelist")).to_contain_text("Corrected and queued for retry")
    with site.worker():
        expect(page.locator(".outlook .state")).to_have_text("Queued")
        until(lambda: page.reload() and page.locator(".outlook .state.created").count())
    expect(page.locator(".timeline")).to_contain_text("Corrected by operator.")
    expect(page.locator(".timeline")).to_contain_text("Constant Contact created the account.")
    assert site.provider.accounts
