"""The whole way from the empty form to a ready account, with everything that can happen in between."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pytest_django import Settings

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.journey import PASSWORD, expect_heading, fill_in, fresh_name, reference_of, send
from tests.environment import CANARIES
from tests.postgresql import PostgreSQL


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_a_customer_fills_in_the_form_and_watches_the_account_being_created(
    site: Installation, visit: Open, javascript: bool
) -> None:
    name = fresh_name()
    page = visit("/", javascript=javascript)
    fill_in(page, name)
    send(page)

    expect_heading(page, "We are creating your account")
    with site.worker():
        expect_heading(page, "Your account is ready")

    expect(page.get_by_text(name, exact=True)).to_be_visible()
    expect(page).to_have_title(re.compile("^Your account is ready"))
    assert name in site.provider.accounts


# The API and the database don't depend on each other, and v3 has a journey of its own below.
@pytest.mark.parametrize("api", ["v2", pytest.param("v3", marks=pytest.mark.long)], indirect=True)
def test_the_journey_on_postgresql_with_two_workers(
    api: str, visit: Open, database: PostgreSQL, tmp_path: Path
) -> None:
    name = fresh_name()
    with Installation(tmp_path, DATABASE_URL=database.url) as site:
        page = visit(site.url)
        fill_in(page, name)
        send(page)

        with site.worker(), site.worker():
            expect_heading(page, "Your account is ready")

        assert [call.username for call in site.provider.calls] == [name]


def test_with_v3_a_taken_username_is_entered_again(visit: Open, tmp_path: Path, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
    taken, free = fresh_name("Anna+Jones"), fresh_name("Anna+Jones")
    with Installation(tmp_path) as site:
        site.take(taken.lower())
        page = visit(site.url)
        fill_in(page, taken, password="correct horse, battery")
        send(page)

        with site.worker():
            expect_heading(page, "One more thing to fix")
            page.get_by_label("Username").fill(free)
            page.get_by_role("button", name="Send again").click()
            expect_heading(page, "Your account is ready")

        assert list(site.provider.accounts) == [taken.lower(), free]
        assert {call.path for call in site.provider.calls} == {"/v3/partner/accounts"}


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_after_a_taken_username_nothing_else_is_typed_again(site: Installation, visit: Open, javascript: bool) -> None:
    taken, free = fresh_name(), fresh_name()
    site.take(taken)
    page = visit("/", javascript=javascript)
    fill_in(page, taken)
    send(page)

    with site.worker():
        expect_heading(page, "One more thing to fix")
        expect(page.get_by_role("textbox")).to_have_count(1)
        page.get_by_label("Username").fill(free)
        page.get_by_role("button", name="Send again").click()
        expect_heading(page, "Your account is ready")

    assert free in site.provider.accounts


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_one_click_takes_a_suggested_username(site: Installation, visit: Open, javascript: bool) -> None:
    taken = fresh_name()
    site.take(taken)
    page = visit("/", javascript=javascript)
    fill_in(page, taken)
    send(page)

    with site.worker():
        suggested = page.get_by_role("group", name="These look available").get_by_role("button").first
        free = suggested.inner_text()
        suggested.click()
        expect_heading(page, "Your account is ready")

    assert free in site.provider.accounts


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_the_journey_in_french(site: Installation, visit: Open, javascript: bool) -> None:
    taken = fresh_name()
    site.take(taken)
    page = visit("/", javascript=javascript, locale="fr-FR")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    fill_in(page, taken, email="anna@")
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("Saisissez une adresse e-mail comme nom@example.com.")

    fill_in(page, taken)
    send(page)
    expect_heading(page, "Nous créons votre compte")
    with site.worker():
        expect(page.get_by_role("alert")).to_contain_text("Ce nom d’utilisateur est déjà pris.")  # noqa: RUF001
        page.get_by_role("group", name="Ces noms semblent disponibles").get_by_role("button").first.click()
        expect_heading(page, "Votre compte est prêt")


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_the_language_can_be_changed_during_sign_up(visit: Open, javascript: bool) -> None:
    page = visit("/", javascript=javascript)
    name = fresh_name()
    fill_in(page, name)
    page.get_by_role("button", name="Français").click()
    expect(page.locator("#id_username")).to_have_value(name)
    page.locator("#id_password").fill(PASSWORD)
    send(page)
    expect_heading(page, "Nous créons votre compte")

    page.get_by_role("button", name="Español").click()

    expect_heading(page, "Estamos creando su cuenta")


def test_an_account_is_looked_up_after_a_lost_answer_and_the_page_says_so(site: Installation, visit: Open) -> None:
    name = fresh_name("reset-after.anna")
    site.provider.fail_next("list", "500")
    page = visit("/")
    fill_in(page, name)
    send(page)

    with site.worker():
        expect_heading(page, "We are making sure your account was created")
        expect_heading(page, "Your account is ready")

    assert len([call for call in site.provider.calls if call.username == name]) == 1


def test_the_username_and_the_reference_can_be_copied(site: Installation, visit: Open) -> None:
    page = visit("/", permissions=["clipboard-read", "clipboard-write"])
    name = fresh_name()
    fill_in(page, name)
    send(page)
    page.get_by_role("button", name="Copy reference").click()
    expect(page.get_by_role("button", name="Copy reference")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace("-", "").lower() == reference_of(page)[:8]

    with site.worker():
        page.get_by_role("button", name="Copy username").click()
    assert page.evaluate("navigator.clipboard.readText()") == name


def test_changes_of_state_are_announced_to_screen_readers(site: Installation, visit: Open) -> None:
    page = visit("/")
    fill_in(page, fresh_name())
    send(page)
    expect_heading(page, "We are creating your account")

    with site.worker():
        expect(page.get_by_role("status")).to_have_text("Your account is ready")


def test_the_journey_works_with_the_keyboard_alone(site: Installation, visit: Open) -> None:
    name = fresh_name()
    page = visit("/")

    for entry in ("Anna's Bakery", "", "United States", "Massachusetts", "Anna", "Jones", "anna@nullmailer.com"):
        page.keyboard.press("Tab")
        page.keyboard.type(entry)
    for entry in ("555-555-5555", name, "correct-horse"):
        page.keyboard.press("Tab")
        page.keyboard.type(entry)
    page.keyboard.press("Enter")

    with site.worker():
        expect_heading(page, "Your account is ready")


def test_no_file_holds_a_secret_in_plain_text(site: Installation, visit: Open) -> None:
    page = visit("/")
    fill_in(page, fresh_name(), email="anna@")
    send(page)
    # Before that, entries would go with the old page.
    expect(page.get_by_role("link", name="Email address: ")).to_be_visible()
    fill_in(page, fresh_name())
    send(page)
    with site.worker():
        expect_heading(page, "Your account is ready")
        files = {file.name: file.read_bytes() for file in site.directory.iterdir()}

    assert {"db.sqlite3", "db.sqlite3-wal", "log"} <= set(files)
    for secret in (PASSWORD, *CANARIES.values()):
        assert not [name for name, content in files.items() if secret.encode() in content]


def test_pressing_twice_sends_once(site: Installation, visit: Open) -> None:
    name = fresh_name()
    page = visit("/")
    fill_in(page, name)
    page.get_by_role("button", name="Create my account").dblclick(no_wait_after=True)

    with site.worker():
        expect_heading(page, "Your account is ready")

    assert len([call for call in site.provider.calls if call.username == name]) == 1


def test_another_browser_with_the_link_sees_nothing_of_the_sign_up(visit: Open) -> None:
    page = visit("/")
    fill_in(page, fresh_name())
    send(page)
    expect_heading(page, "We are creating your account")

    expect_heading(visit(page.url), "This page is not available here")
