"""Sending the form when the connection, the server, or the customer's patience fails: nothing typed is lost."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import BOTH_ENGINES, FIREFOX_AT_LENGTH, Open
from tests.browser.installation import Installation
from tests.browser.journey import PASSWORD, expect_heading, fill_in, fresh_name, send

NO_ANSWER = "There was no answer."


def on_post(page: Page, answer: object) -> None:
    """Let `answer` handle the page's POST requests. All others pass."""
    page.route("**/*", lambda route: answer(route) if route.request.method == "POST" else route.continue_())  # type: ignore[operator]


def expect_to_go_on(page: Page, told: str) -> None:
    """Check that the page says what happened, still has everything, and can send it."""
    expect(page.locator(".unsent")).to_contain_text(told)
    expect(page.locator(".unsent")).to_have_role("alert")
    expect(page.get_by_role("button", name="Create my account")).to_be_enabled()
    expect(page.get_by_label("Password", exact=True)).to_have_value(PASSWORD)
    page.unroute_all()
    send(page)
    expect_heading(page, "We are creating your account")


def filled_in(visit: Open) -> Page:
    page = visit("/")
    fill_in(page, fresh_name())
    return page


def go_back_and_correct(page: Page, username: str, email: str) -> None:
    """Send the form again, in Chromium the same copy of it. Firefox shows a new and empty one."""
    page.go_back()
    fill_in(page, username, email=email)
    send(page)


@BOTH_ENGINES
def test_a_lost_connection(visit: Open) -> None:
    page = filled_in(visit)
    on_post(page, lambda route: route.abort())
    send(page)

    expect_to_go_on(page, NO_ANSWER)


@FIREFOX_AT_LENGTH
def test_no_connection_at_all(visit: Open) -> None:
    page = filled_in(visit)
    page.evaluate("Object.defineProperty(navigator, 'onLine', { get: () => false })")
    on_post(page, lambda route: route.abort())
    send(page)

    expect_to_go_on(page, "You are offline.")


@FIREFOX_AT_LENGTH
def test_no_answer_in_time(visit: Open) -> None:
    page = filled_in(visit)
    page.clock.install()
    on_post(page, lambda route: None)
    with page.expect_request(lambda request: request.method == "POST"):
        send(page)
    expect(page.get_by_role("button", name="Sending…")).to_have_attribute("aria-disabled", "true")

    page.clock.fast_forward(31_000)

    page.clock.resume()
    expect_to_go_on(page, NO_ANSWER)


def test_the_stop_button(visit: Open) -> None:
    page = filled_in(visit)
    on_post(page, lambda route: None)
    with page.expect_request(lambda request: request.method == "POST"):
        send(page)
    page.evaluate("window.stop()")

    expect_to_go_on(page, NO_ANSWER)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_error_of_the_server_or_of_a_proxy(visit: Open, status: int) -> None:
    page = filled_in(visit)
    on_post(
        page,
        lambda route: route.fulfill(status=status, body="<main><h1>Bad gateway</h1></main>", content_type="text/html"),
    )
    send(page)

    expect_to_go_on(page, NO_ANSWER)


@FIREFOX_AT_LENGTH
def test_a_page_from_a_captive_portal(visit: Open) -> None:
    page = filled_in(visit)
    on_post(page, lambda route: route.fulfill(body="<p>Welcome to our hotel's network", content_type="text/html"))
    send(page)

    expect_to_go_on(page, NO_ANSWER)


@BOTH_ENGINES
def test_going_back_and_correcting_again_is_never_lost_silently(site: Installation, visit: Open) -> None:
    page, name = visit("/"), fresh_name()
    fill_in(page, name, email="anna.exmaple@nullmailer.com")
    send(page)
    expect_heading(page, "We are creating your account")

    go_back_and_correct(page, name, "anna.example@nullmailer.com")
    expect(page.locator(".note")).to_contain_text("Changed: Email address.")
    with site.worker():
        expect_heading(page, "Your account is ready")
    expect(page.locator(".next")).to_contain_text("anna.example@nullmailer.com")

    go_back_and_correct(page, name, "anna@nullmailer.com")
    expect_heading(page, "You have already sent this sign-up")
    expect(page.get_by_role("row", name="Email address")).to_contain_text("anna.example@nullmailer.com")


def test_a_lost_answer_creates_no_second_account(site: Installation, visit: Open) -> None:
    page = visit("/")
    name = fresh_name()
    fill_in(page, name)

    def lose(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.abort()

    on_post(page, lose)
    send(page)
    expect_to_go_on(page, NO_ANSWER)
    with site.worker():
        expect_heading(page, "Your account is ready")

    assert len([call for call in site.provider.calls if call.username == name]) == 1
