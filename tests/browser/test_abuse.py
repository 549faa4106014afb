"""Abuse protection as people meet it: they notice nothing, or learn how to continue."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.signing import Signer
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.journey import PASSWORD, expect_heading, fill_in, fresh_name, send
from tests.browser.test_states import Check, fits


@pytest.fixture(scope="module")
def protected(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("protected"), ABUSE_PROTECTION="true") as installation:
        yield installation


def fill_in_as_new_visitor(page: Page) -> None:
    """Fill in the form in a browser without cookies."""
    name = fresh_name()
    fill_in(page, name, email=f"{name}@nullmailer.com")


def say_it_was_shown(page: Page, ago: timedelta) -> None:
    """Move the time at which the form was shown, instead of being quick or waiting."""
    submission = page.locator("[name=submission]").input_value()
    stamp = Signer(salt="signup.abuse").sign_object([submission, time.time() - ago.total_seconds()])
    page.locator("[name=shown]").evaluate("(field, stamp) => { field.value = stamp }", stamp)


def expect_to_pass_when_sent_again(page: Page) -> None:
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    say_it_was_shown(page, ago=timedelta(hours=1))
    send(page)
    expect_heading(page, "We are creating your account")


def test_the_page_holds_a_form_that_is_sent_too_quickly_until_it_is_due(protected: Installation, visit: Open) -> None:
    page = visit(protected.url)
    fill_in_as_new_visitor(page)
    send(page)

    expect_heading(page, "We are creating your account")


def test_pressing_twice_too_early_sends_the_form_once(protected: Installation, visit: Open) -> None:
    page = visit(protected.url)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    fill_in_as_new_visitor(page)
    page.get_by_role("button", name="Create my account").dblclick(no_wait_after=True)

    expect_heading(page, "We are creating your account")
    assert len(posts) == 1


@pytest.mark.parametrize("look", [{"width": 1280}, {"width": 320, "color_scheme": "dark"}], ids=str)
def test_without_javascript_a_quick_customer_is_asked_to_send_again(
    protected: Installation, visit: Open, accessible: Check, look: dict[str, object]
) -> None:
    page = visit(protected.url, **look | {"script": False})
    fill_in_as_new_visitor(page)
    say_it_was_shown(page, ago=-timedelta(hours=1))
    send(page)

    expect(page.get_by_role("alert")).to_contain_text("so quick")
    accessible(page)
    assert fits(page)
    expect_to_pass_when_sent_again(page)


def test_no_person_meets_the_decoy(protected: Installation, visit: Open) -> None:
    page = visit(protected.url)

    expect(page.locator("[name=comment]")).to_be_hidden()
    expect(page.get_by_role("textbox", name="Leave this empty")).to_have_count(0)


def test_an_addon_that_fills_in_the_decoy_costs_only_the_password(protected: Installation, visit: Open) -> None:
    page = visit(protected.url)
    fill_in_as_new_visitor(page)
    page.evaluate("document.querySelector('[name=comment]').value = 'x'")
    send(page)

    expect(page.get_by_role("alert")).to_contain_text("A field that people")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.get_by_label("Phone number")).to_have_value("555-555-5555")
    expect_to_pass_when_sent_again(page)


USE_UP = """
from uuid import uuid4
from signup import abuse, visits
for _ in range(abuse.LIMITS["email"].an_hour):
    visits.add(uuid4(), [abuse.key("email", "carol@nullmailer.com 127.0.0.0/24")])
"""


def test_a_customer_who_exceeds_the_limit_is_told_when_to_come_back(
    protected: Installation, visit: Open, accessible: Check
) -> None:
    protected.manage("shell", "-v0", "-c", USE_UP)
    page = visit(protected.url, width=320)
    fill_in(page, fresh_name(), email="carol@nullmailer.com")
    send(page)

    expect(page.get_by_role("alert")).to_contain_text("Please try again")
    expect(page.get_by_label("Phone number")).to_have_value("555-555-5555")
    accessible(page)
    assert fits(page)
