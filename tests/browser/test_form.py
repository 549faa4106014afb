"""The form in a browser, with its script and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from provisioning import rules
from tests.browser.conftest import FIREFOX_AT_LENGTH, Open
from tests.browser.journey import expect_heading, fill_in, fresh_name, send
from tests.provisioning.rules.test_passwords import GOOD, WEAK
from tests.provisioning.values import SIGN_UP

CHOOSE_EACH = """(country) => [...country.options].filter((option) => {
    option.selected = true;
    country.dispatchEvent(new Event("change"));
    return document.getElementById("id_state_code").checkVisibility();
}).map((option) => option.value)"""
"""Chooses one country after the other, and returns those for which the state can be seen."""


def states(page: Page) -> list[str]:
    """Return the states that can be chosen."""
    return page.get_by_label("State or province").locator("option").all_inner_texts()


def choose_country(page: Page, name: str) -> None:
    page.get_by_label("Country").select_option(name)


class TestProblems:
    def test_the_focus_goes_to_the_summary_and_its_links_to_the_fields(self, visit: Open) -> None:
        page = visit("/")
        send(page)

        expect(page.get_by_role("alert")).to_be_focused()
        page.get_by_role("link", name="Email address: Enter your email address.").click()
        expect(page.get_by_label("Email address")).to_be_focused()

    def test_without_javascript_the_links_lead_to_the_fields_too(self, visit: Open) -> None:
        page = visit("/", javascript=False)
        send(page)

        page.get_by_role("link", name="Choose a password.").click()
        expect(page).to_have_url(re.compile("#id_password$"))

    def test_a_field_is_described_by_its_problem(self, visit: Open) -> None:
        page = visit("/")
        fill_in(page, "Ånna")
        send(page)

        name = page.get_by_label("Username")
        expect(name).to_have_accessible_description(re.compile("Error: Use only lowercase letters"))
        expect(name).to_have_attribute("aria-invalid", "true")
        expect(page).to_have_title(re.compile("^Error: "))


class TestStates:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_they_show_for_the_countries_that_have_them(self, visit: Open, javascript: bool) -> None:
        page = visit("/", javascript=javascript)
        expect(page.get_by_label("State or province")).to_be_hidden()

        with_states = page.locator("#id_country_code").evaluate(CHOOSE_EACH)

        assert with_states == [code for code, _name in rules.active()["country_code"].choices() if rules.states(code)]

    def test_only_those_of_the_chosen_country_are_offered(self, visit: Open) -> None:
        page = visit("/")
        choose_country(page, "Canada")

        assert {"Ontario", "Yukon"} <= set(states(page))
        assert "Massachusetts" not in states(page)

    def test_a_choice_survives_a_look_at_another_country(self, visit: Open) -> None:
        page = visit("/")
        choose_country(page, "Canada")
        page.get_by_label("State or province").select_option("Ontario")

        for country in ("United States", "Germany", "Canada"):
            choose_country(page, country)

        expect(page.get_by_label("State or province")).to_have_value("ON")

    def test_a_browser_may_fill_in_the_state_before_the_country(self, visit: Open) -> None:
        page = visit("/")
        page.evaluate("id_state_code.value = 'ON'")
        choose_country(page, "Canada")

        expect(page.get_by_label("State or province")).to_have_value("ON")

    def test_they_are_kept_when_the_form_comes_back_with_a_problem(self, visit: Open) -> None:
        page = visit("/")
        fill_in(page, fresh_name(), email="anna@")
        send(page)

        expect(page.get_by_label("State or province")).to_have_value("MA")
        assert "Ontario" not in states(page)

    def test_they_are_kept_after_going_back(self, visit: Open) -> None:
        page = visit("/")
        choose_country(page, "Canada")
        page.get_by_label("State or province").select_option("Ontario")
        page.goto("/nowhere")
        page.go_back()

        expect(page.get_by_label("Country")).to_have_value("CA")
        expect(page.get_by_label("State or province")).to_be_visible()
        expect(page.get_by_label("State or province")).to_have_value("ON")

    def test_without_javascript_all_of_them_are_listed_by_country(self, visit: Open) -> None:
        page = visit("/", javascript=False)

        assert {"Ontario", "Massachusetts"} <= set(states(page))

    @pytest.mark.parametrize("javascript", [True, False])
    def test_a_country_without_states_drops_what_was_chosen(self, visit: Open, javascript: bool) -> None:
        page = visit("/", javascript=javascript)
        fill_in(page, fresh_name())
        choose_country(page, "Germany")
        send(page)

        expect_heading(page, "We are creating your account")


class TestTypedValues:
    def test_they_are_kept_when_the_logo_is_clicked(self, visit: Open) -> None:
        expect(visit("/").get_by_role("banner").get_by_role("link")).to_have_count(0)
        expect(visit("/nowhere").get_by_role("banner").get_by_role("link")).to_have_count(1)

    @pytest.mark.parametrize("javascript", [True, False])
    def test_they_are_kept_when_the_language_changes(self, visit: Open, javascript: bool) -> None:
        page = visit("/", javascript=javascript)
        home = page.url
        page.get_by_label("First name").fill("Anna")
        page.get_by_role("button", name="Français").click()

        expect(page.get_by_label("Prénom")).to_have_value("Anna")
        expect(page).to_have_url(home)


class TestPassword:
    def test_it_can_be_shown_and_is_hidden_again_before_it_is_sent(self, visit: Open) -> None:
        page = visit("/")
        page.get_by_label("Password", exact=True).fill("secret")
        page.get_by_role("button", name="Show password").click()
        expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
        expect(page.get_by_role("button", name="Hide password")).to_have_text("Hide")

        page.evaluate("document.forms[0].addEventListener('submit', (event) => event.preventDefault())")
        send(page)
        expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "password")

    def test_without_javascript_there_is_no_button_to_show_it(self, visit: Open) -> None:
        expect(visit("/", javascript=False).locator("main").get_by_role("button")).to_have_count(1)

    def test_it_is_asked_for_again_after_a_problem(self, visit: Open) -> None:
        page = visit("/")
        fill_in(page, fresh_name(), email="anna@")
        send(page)

        expect(page.get_by_label("Password", exact=True)).to_have_value("")
        expect(page.get_by_label("Phone number")).to_have_value("555-555-5555")


@FIREFOX_AT_LENGTH
class TestHints:
    def test_pasted_text_is_not_cut_off(self, visit: Open) -> None:
        page = visit("/")
        password = page.get_by_label("Password", exact=True)
        password.fill("x" * 100)
        page.get_by_label("Phone number").fill("+1 (555) 010-1234 ext. 12345")

        expect(page.locator("#id_password_hint")).to_have_text("Use at most 80 characters; this has 100.")
        expect(page.locator("#id_phone_hint")).to_have_text("Use at most 25 characters; this has 28.")
        expect(password).to_have_value("x" * 100)

        password.fill("xyz." * 20)
        expect(page.locator("#id_password_hint")).to_be_empty()

    def test_characters_are_counted_as_the_server_counts_them(self, visit: Open) -> None:
        page = visit("/")
        page.get_by_label("First name").fill(f" {'🙂' * 80} ")

        expect(page.locator("#id_first_name_hint")).to_be_empty()

    def test_a_phone_keyboards_capital_letters_and_spaces_are_corrected(self, visit: Open) -> None:
        page = visit("/")
        name = page.get_by_label("Username")
        name.press_sequentially("Anna ")
        expect(page.locator("#id_username_hint")).to_be_empty()
        name.press("Tab")

        expect(name).to_have_value("anna")

    def test_an_invalid_character_is_reported_while_typing(self, visit: Open) -> None:
        page = visit("/")
        name = page.get_by_label("Username")
        name.press_sequentially("anna!")
        hint = page.locator("#id_username_hint")
        expect(hint).to_have_text(re.compile("Use only lowercase letters"))

        name.press("Backspace")
        expect(hint).to_be_empty()

    def test_letters_that_the_server_converts_are_not_reported(self, visit: Open) -> None:
        page = visit("/")
        name = page.get_by_label("Username")
        name.press_sequentially("\uff21nna\u200b-\uff11 ")
        expect(page.locator("#id_username_hint")).to_be_empty()
        name.press("Tab")

        expect(name).to_have_value("anna-1")

    def test_a_password_that_is_easy_to_guess_is_reported_while_typing(self, visit: Open) -> None:
        page = visit("/")
        fill_in(page, SIGN_UP["username"], first_name="Jo", password="")
        password, hint = page.get_by_label("Password", exact=True), page.locator("#id_password_hint")

        for weak in WEAK:
            password.fill(weak)
            expect(hint, weak).to_have_text("This password is easy to guess.")
        for good in [*GOOD, "12345"]:
            password.fill(good)
            expect(hint, good).to_be_empty()

    def test_capital_letters_become_lowercase_in_a_username(self, visit: Open) -> None:
        page = visit("/")
        page.get_by_label("Username").press_sequentially("Anna.B")

        expect(page.get_by_label("Username")).to_have_value("anna.b")


class TestEmailAddress:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_one_click_corrects_a_mistyped_domain(self, visit: Open, javascript: bool) -> None:
        page = visit("/", javascript=javascript)
        name = fresh_name()
        fill_in(page, name, email="anna@gmial.com", phone="")
        send(page)
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("First name").fill("")
        page.get_by_label("Email address").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Enter your first name")
        expect(page.locator("[name=email]").first).to_have_value("anna@gmial.com")
        page.get_by_role("group", name="Did you mean").get_by_role("button", name="anna@gmail.com").click()

        expect(page.locator("[name=email]").first).to_have_value("anna@gmail.com")
        expect(page.get_by_label("Username")).to_have_value(name)


class TestUsername:
    def test_it_is_suggested_from_the_organization_until_one_is_typed(self, visit: Open) -> None:
        page = visit("/")
        organization, name = page.get_by_label("Organization name"), page.get_by_label("Username")
        organization.press_sequentially("Chloë's Café & Söhne ")
        expect(name).to_have_value("chloes-cafe-sohne")

        organization.fill("Bakery")
        expect(name).to_have_value("bakery")

        organization.fill("Кафе Жук")
        expect(name).to_have_value("")

        organization.fill("Straßencafé")
        expect(name).to_have_value("")

        name.fill("anna")
        organization.fill("Brewery")
        expect(name).to_have_value("anna")

    @pytest.mark.parametrize("javascript", [True, False])
    def test_one_click_on_a_suggestion_replaces_a_taken_one(self, visit: Open, javascript: bool) -> None:
        page = self.taken(visit, javascript=javascript)
        expect(page.get_by_label("Password", exact=True)).to_have_count(0)
        page.get_by_role("group", name="These look available").get_by_role("button").first.click()

        expect_heading(page, "We are creating your account")

    @pytest.mark.parametrize("javascript", [True, False])
    def test_enter_sends_the_typed_username_and_not_a_suggestion(self, visit: Open, javascript: bool) -> None:
        page = self.taken(visit, javascript=javascript)
        page.get_by_label("Username").fill("Ånna")
        page.get_by_label("Username").press("Enter")

        expect(page.get_by_role("alert")).to_contain_text("Use only lowercase letters")
        expect(page.get_by_label("Username")).to_have_value("Ånna")

    def taken(self, visit: Open, javascript: bool = True) -> Page:
        """Return a form that came back because another visitor has the username."""
        name = fresh_name()
        page = visit("/")
        fill_in(page, name)
        send(page)
        expect_heading(page, "We are creating your account")
        page = visit("/", javascript=javascript)
        fill_in(page, name, organization_name=fresh_name("bakery"))
        send(page)
        expect(page.get_by_role("alert")).to_contain_text("This username is taken")
        return page


SHIFTS = """
new Promise((resolve) => {
  const observer = new PerformanceObserver((list) => resolve(list.getEntries().length));
  observer.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(0), 300);
})
"""
"""Counts layout shifts. The browser reports them at once, or never if there are none."""


def test_the_page_is_light_and_nothing_on_it_jumps(visit: Open) -> None:
    page = visit("about:blank")
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto("/", wait_until="networkidle")

    assert len(sizes) <= 4
    assert sum(sizes) <= 50_000
    assert page.evaluate(SHIFTS) == 0
