"""No page is wider than the screen, even with the longest possible value of each property."""

import pytest
from playwright.sync_api import Page, expect

from provisioning import rules
from tests.browser.conftest import BOTH_ENGINES, Open
from tests.browser.installation import Installation
from tests.browser.journey import PASSWORD, expect_heading, fill_in, fresh_name, reference_of, send
from tests.browser.test_states import STATES, fits

pytestmark = BOTH_ENGINES

AT = "@nullmailer.com"


def longest(name: str) -> str:
    limit = rules.active()[name].max_length
    match name:
        case "phone":
            return "5" * limit
        case "email":
            return "w" * (64 if limit > 80 else limit - len(AT) - 1) + AT
        case "username":
            return fresh_name("w" * (limit - 6)).ljust(limit, "w")
        case "website":
            return f"https://www.example.com/{'w' * limit}"[:limit]
        case _:
            return "W" * limit


def fill_in_the_longest(page: Page) -> None:
    names = ("organization_name", "website", "first_name", "last_name", "email", "phone")
    fill_in(page, longest("username"), password="", **{name: longest(name) for name in names})


@pytest.mark.parametrize("width", [320, pytest.param(1280, marks=pytest.mark.long)])
def test_pages_fit_with_the_longest_values(site: Installation, visit: Open, width: int) -> None:
    page = visit("/", width=width)
    fill_in_the_longest(page)
    send(page)
    expect(page.get_by_role("alert")).to_be_visible()
    assert fits(page)

    page.get_by_label("Password", exact=True).fill(PASSWORD)
    send(page)
    reference = reference_of(page)
    for heading, columns in STATES.items():
        site.change(reference, **columns)
        page.reload()
        expect_heading(page, heading)
        assert fits(page), heading

    site.change(reference, account_id="")
    site.refuse(reference, **dict.fromkeys(rules.CUSTOMER_PROPERTIES, "#/x: " + "W" * 200))
    page.reload()
    expect(page.get_by_role("alert")).to_be_visible()
    assert fits(page)

    site.refuse(reference, "taken")
    page.reload()
    expect(page.locator(".suggestions")).to_be_visible()
    assert fits(page)
