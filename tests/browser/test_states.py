"""Every page in every state: no problems for axe, and nothing wider than the window, in light and dark mode."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import gettext
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.journey import expect_heading, fill_in, fresh_name, reference_of, send

Check = Callable[[Page], None]

LOOKS: list[Any] = [
    {"width": 320, "color_scheme": "dark", "locale": "fr-CA"},
    pytest.param({"width": 1280, "script": False}, marks=pytest.mark.long),
    pytest.param({"width": 640, "device_scale_factor": 2, "locale": "es-MX"}, marks=pytest.mark.long),  # 1280 at 200%
    pytest.param({"width": 1280}, marks=pytest.mark.long),
]
"""Each width, color scheme, and language at least once: they don't depend on each other."""

FORCED: dict[str, Any] = {"width": 375, "forced_colors": "active"}


def fits(page: Page) -> bool:
    """Whether the page is no wider than the screen. A phone would zoom out to show a wider one."""
    assert page.viewport_size
    return bool(page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"])


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_empty_form_and_the_form_with_every_problem(visit: Open, accessible: Check, look: dict[str, Any]) -> None:
    page = visit("/", **look)
    accessible(page)
    assert fits(page)

    send(page)

    expect(page.get_by_role("alert")).to_be_visible()
    accessible(page)
    assert fits(page)


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("path", ["/nowhere", "/signup/00000000-0000-4000-8000-000000000000/"])
def test_the_not_found_page(visit: Open, accessible: Check, look: dict[str, Any], path: str) -> None:
    page = visit(path, **look)

    accessible(page)
    assert fits(page)


DUE = {"due_at": "2099-01-01T00:00:00Z"}
"""A next step that is never due during a test. Without one, an account would wait for staff."""
STATES: dict[str, dict[str, str]] = {
    "We are creating your account": {"state": "queued", "due_at": "2020-01-01T00:00:00Z"},
    "We are making sure your account was created": {"state": "unconfirmed", **DUE},
    "This is taking longer than usual": {"state": "queued", "state_changed_at": "2020-01-01T00:00:00Z", **DUE},
    "We have received your sign-up": {"state": "held"},
    "Our team is checking your sign-up": {"state": "unconfirmed"},
    "One more thing to fix": {"state": "rejected"},
    "Your account is ready": {"state": "created", "account_id": "1"},
    "This sign-up has been closed": {"state": "closed", "account_id": ""},
}


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_progress_page_in_each_state(
    site: Installation, visit: Open, accessible: Check, look: dict[str, Any]
) -> None:
    page = visit("/", **look)
    fill_in(page, fresh_name())
    send(page)
    page.wait_for_url("**/signup/**")

    reference = page.url.split("/")[-2]
    for heading, columns in STATES.items():
        site.change(reference, **columns)
        page.reload()
        with translation.override(look.get("locale", "en")):
            expect_heading(page, gettext(heading))
        accessible(page)
        assert fits(page)

    site.change(reference, account_id="")
    site.refuse(reference, "taken")
    page.reload()
    expect(page.locator(".suggestions")).to_be_visible()
    accessible(page)
    assert fits(page)


def test_words_in_the_steps_do_not_break(site: Installation, visit: Open) -> None:
    page = visit("/", width=320)
    fill_in(page, fresh_name())
    send(page)
    reference_of(page)

    heights = page.evaluate("[...document.querySelectorAll('.steps li')].map((step) => step.offsetHeight)")
    one_line = page.evaluate("getComputedStyle(document.querySelector('.steps li')).lineHeight")
    assert max(heights) < 2 * float(one_line.removesuffix("px"))


def test_progress_is_visible_in_forced_colors(site: Installation, visit: Open) -> None:
    page = visit("/", **FORCED)
    fill_in(page, fresh_name())
    send(page)
    reference_of(page)

    bars = page.evaluate(
        "[...document.querySelectorAll('.steps li')].map((step) => getComputedStyle(step, '::before').backgroundColor)"
    )
    assert len({*bars, page.evaluate("getComputedStyle(document.body).backgroundColor")}) == 4
