"""Helpers for customers' steps: fill in the form, send it, and read the page."""

import itertools
import re

from playwright.sync_api import Page, expect

PASSWORD = "canary-customer-password"

_numbers = itertools.count()


def fresh_name(prefix: str = "anna") -> str:
    return f"{prefix}-{next(_numbers)}"


def fill_in(page: Page, username: str, **changes: str | None) -> None:
    """Fill in the whole form, except for the fields changed to None."""
    values: dict[str, str | None] = {
        "organization_name": "Anna's Bakery",
        "first_name": "Anna",
        "last_name": "Jones",
        "email": "anna@nullmailer.com",
        "phone": "555-555-5555",
        "username": username,
        "password": PASSWORD,
    }
    page.locator("[name=country_code]").select_option("US")
    page.locator("[name=state_code]").select_option("MA")
    for name, value in (values | changes).items():
        if value is not None:
            page.locator(f"[name={name}]").fill(value)


def send(page: Page) -> None:
    page.locator("main .primary").click()


def expect_heading(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def reference_of(page: Page) -> str:
    """Return the reference of the account whose page this is."""
    page.wait_for_url("**/signup/**")
    return page.url.split("/")[-2]
