"""How browsers apply our headers and cookies."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import QUIET, Open
from tests.browser.installation import Installation
from tests.browser.journey import expect_heading, fill_in, fresh_name, send

PASSWORD = "dora-desk-1"
LINKED = """links => links.map(link => new URL(link.getAttribute("href"), location).pathname)
    .filter(path => path.startsWith("/admin/"))"""


def log_in(page: Page) -> None:
    page.get_by_label("Username", exact=True).fill("dora")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.mark.long  # All other tests notice a violation, too, on the pages that they open.
def test_no_admin_page_violates_its_own_policy(site: Installation, visit: Open) -> None:
    page = visit("/")
    fill_in(page, fresh_name())
    send(page)
    expect_heading(page, "We are creating your account")
    site.change(page.url.split("/")[-2], state="rejected")
    site.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    site.manage("createsuperuser", "--no-input", "--username=dora", "--email=")
    page = visit("/admin/")
    log_in(page)

    seen: set[str] = set()
    ahead = {"/admin/"}
    while ahead:
        page.goto(ahead.pop())
        seen.add(page.evaluate("location.pathname"))
        linked = page.locator("a[href]").evaluate_all(LINKED)
        ahead = {path for path in {*ahead, *linked} - seen if "export" not in path}

    assert {"/admin/provisioning/account/", "/admin/auth/user/add/", "/admin/password_change/"} <= seen
    assert any(path.endswith("/correct/") for path in seen)


def test_in_development_it_works_over_plain_http_under_any_host_name(
    browser: Browser, chromium: str, tmp_path: Path
) -> None:
    """Without HTTPS, a browser accepts neither a Secure cookie nor one called __Host-."""
    quiet = [*QUIET, "--host-resolver-rules=MAP signup.example.com 127.0.0.1"]
    with (
        Installation(tmp_path, DEBUG="true", ALLOWED_HOSTS="signup.example.com") as site,
        browser.browser_type.launch(executable_path=chromium, args=quiet) as elsewhere,
    ):
        page = elsewhere.new_page()
        page.goto(site.url.replace("127.0.0.1", "signup.example.com"))
        fill_in(page, fresh_name())
        send(page)

        expect_heading(page, "We are creating your account")
