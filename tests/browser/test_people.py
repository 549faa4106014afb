"""People with different devices and connections, each of whom gets an account."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_ENGINES, Open
from tests.browser.installation import Installation
from tests.browser.journey import PASSWORD, expect_heading, fill_in, fresh_name, send
from tests.browser.test_states import fits


def test_signing_up_with_a_phone(site: Installation, visit: Open) -> None:
    """They have a small touch screen, and a keyboard that starts with a capital letter and ends with a space."""
    page = visit("/", width=320, is_mobile=True, has_touch=True, device_scale_factor=2)
    name = fresh_name()
    fill_in(
        page, name.capitalize() + " ", email=" Anna@nullmailer.com ", phone="+1 (555) 010-1234 ext. 5", password=None
    )
    page.get_by_label("Password", exact=True).tap()
    page.keyboard.type(PASSWORD)
    assert fits(page)
    page.get_by_role("button", name="Create my account").tap()

    with site.worker():
        expect_heading(page, "Your account is ready")

    expect(page.locator(".facts")).to_contain_text(name)
    assert fits(page)
    assert name in site.provider.accounts


FORM = """
- heading "Start your free Constant Contact trial" [level=1]
- list
- paragraph: All fields are required unless marked optional.
- group "Your business":
  - text: Your business Organization name
  - paragraph: The name your customers know you by.
  - textbox "Organization name"
  - status
"""
WITH_A_PROBLEM = """
- alert "There is a problem":
  - heading "There is a problem" [level=2]
  - list:
    - listitem:
      - 'link "Phone number: Enter your phone number."'
    - listitem:
      - link /Password/
"""
READY = """
- list:
  - listitem: Received (done)
  - listitem: Creating (done)
  - listitem: Ready (done)
- heading "Your account is ready" [level=1]
"""


@BOTH_ENGINES
def test_signing_up_with_a_screen_reader(site: Installation, visit: Open) -> None:
    """They use only the keyboard and what is read aloud."""
    page = visit("/")
    expect(page.locator("main")).to_match_aria_snapshot(FORM)
    for label in ("Organization name", "Country", "Phone number", "Password"):
        expect(page.get_by_label(label, exact=True)).to_have_attribute("aria-required", "true")
        expect(page.get_by_label(label, exact=True)).not_to_have_attribute("aria-invalid", "true")
    fill_in(page, fresh_name(), phone="", password="")
    page.get_by_label("Password", exact=True).press("Enter")

    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.locator("form#sign-up")).to_match_aria_snapshot(WITH_A_PROBLEM)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    phone = page.get_by_label("Phone number")
    expect(phone).to_be_focused()
    expect(phone).to_have_accessible_description(re.compile("Enter your phone number"))
    phone.press_sequentially("+1 555 010 0199")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect_heading(page, "We are creating your account")

    with site.worker():
        expect(page.locator("#announcement")).to_have_text("Your account is ready")
    expect(page.locator("main")).to_match_aria_snapshot(READY)


def test_signing_up_without_javascript(site: Installation, visit: Open) -> None:
    page = visit("/", javascript=False)
    name = fresh_name()
    fill_in(page, f" {name.upper()} ", phone="")
    send(page)
    page.get_by_role("link", name="Phone number: ").click()
    page.get_by_label("Phone number").fill("555-555-5555")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    send(page)
    expect_heading(page, "We are creating your account")

    with site.worker():
        expect_heading(page, "Your account is ready")
    assert name in site.provider.accounts


def test_signing_up_on_a_slow_connection_where_the_script_is_late(site: Installation, visit: Open) -> None:
    """As on a train, a request takes a second, and 20 KB take another second."""
    page = visit("about:blank")
    slow = {"offline": False, "latency": 1000, "downloadThroughput": 20_000, "uploadThroughput": 10_000}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/")
    fill_in(page, fresh_name())
    send(page)
    page.unroute_all()

    expect_heading(page, "We are creating your account")
    page.reload()
    with site.worker():
        expect_heading(page, "Your account is ready")


@pytest.mark.parametrize("javascript", [True, False])
def test_signing_up_behind_a_proxy_that_removes_origin_and_referrer(visit: Open, javascript: bool) -> None:
    page = visit("about:blank", javascript=javascript)

    def add_policy(page: Page) -> None:
        page.route(
            "**/",
            lambda route: (
                route.fulfill(response=(got := route.fetch()), headers=got.headers | {"referrer-policy": "no-referrer"})
                if route.request.method == "GET"
                else route.continue_()
            ),
        )

    add_policy(page)
    page.goto("/")
    fill_in(page, fresh_name())
    send(page)

    if javascript:
        expect_heading(page, "We are creating your account")
    else:
        expect(page.get_by_role("alert")).to_contain_text("hides which page the form comes from")
