"""A visitor from a campaign makes a mistake, changes the language, accepts the terms, and signs up."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.journey import PASSWORD, fill_in, fresh_name, send

TEXTS = """
from django.utils import timezone
from signup.models import Brand, LegalText
brand, _ = Brand.objects.get_or_create(host="", defaults={"name": "Alder & Co"})
for kind, language in (("terms", ""), ("privacy", ""), ("marketing", ""), ("terms", "fr")):
    text = LegalText(brand=brand, kind=kind, language=language, version="2026-11", text="First.\\n\\nSecond.")
    text.publish(timezone.now())
    text.save()
"""
ERASE = """
from signup.models import Agreement, Brand, LegalText
Agreement.objects.all().delete(); LegalText.objects.all().delete(); Brand.objects.all().delete()
"""
DOSSIER = """
from provisioning.models import Account
account = Account.objects.get(username="{name}")
print(account.attribution, [(str(each.text)) for each in account.agreements.all()])
"""


@pytest.fixture(scope="module")
def texts(site: Installation) -> Iterator[None]:
    run(site, TEXTS)
    yield
    run(site, ERASE)


def run(site: Installation, program: str) -> str:
    return site.manage("shell", "-v0", "-c", program)


@pytest.mark.usefixtures("texts")
def test_a_visitor_from_a_campaign_accepts_the_terms_and_signs_up(visit: Open, site: Installation) -> None:
    name = fresh_name()
    page = visit("/")
    page.goto("/?utm_source=newsletter&utm_campaign=spring", referer="https://blog.example.com/")
    fill_in(page, name, phone="1")
    send(page)
    expect(page.get_by_role("link", name=re.compile("Agreement: Check this box"))).to_be_visible()

    page.get_by_role("button", name="Français").click()
    page.get_by_label(re.compile("J’accepte")).check()  # noqa: RUF001
    fill_in(page, name)
    send(page)
    page.wait_for_url("**/signup/**")

    told = run(site, DOSSIER.format(name=name))
    assert "{'utm_source': 'newsletter', 'utm_campaign': 'spring', 'referrer': 'blog.example.com'}" in told
    assert "['Privacy policy 2026-11', 'Terms 2026-11 (fr)']" in told


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until the focus is there."""
    for _ in range(40):
        page.keyboard.press(key)
        if target.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"{target} is out of reach")


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(
    ("browser", "language", "missing"),
    [
        pytest.param("chromium", "en", "Check this box to sign up.", marks=pytest.mark.long),
        ("firefox", "fr", "Cochez cette case pour vous inscrire."),
        pytest.param("chromium", "es", "Marque esta casilla para registrarse.", marks=pytest.mark.long),
    ],
    indirect=["browser"],
)
def test_the_boxes_work_with_the_keyboard_alone(visit: Open, site: Installation, language: str, missing: str) -> None:
    name = fresh_name(language)
    page = visit("/?ref=keyboard", locale=language)
    page.locator("[name=country_code]").select_option("US")  # Choosing by typing depends on the typist's speed.
    page.locator("[name=state_code]").select_option("MA")
    page.locator("h1").click()
    typed = {"organization_name": "Anna's Bakery", "first_name": "Anna", "last_name": "Jones"}
    typed |= {"email": "anna@nullmailer.com", "phone": "555-555-5555", "username": name}
    for field, value in typed.items():
        tab_to(page, page.locator(f"[name={field}]"))
        page.keyboard.type(value)
    agree, marketing = page.locator("[name=agree]"), page.locator("[name=marketing]")
    for box in (agree, marketing):
        expect(box).not_to_be_checked()
    tab_to(page, marketing)
    page.keyboard.press("Space")
    expect(marketing).to_be_checked()
    page.keyboard.press("Enter")

    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text(missing)
    for field, value in typed.items():
        expect(page.locator(f"[name={field}]")).to_have_value(value)
    expect(marketing).to_be_checked()
    tab_to(page, summary.get_by_role("link", name=re.compile(re.escape(missing))))
    page.keyboard.press("Enter")
    expect(agree).to_be_focused()
    expect(agree).to_have_accessible_description(re.compile(re.escape(missing)))
    page.keyboard.press("Space")
    tab_to(page, page.locator("[name=password]"), "Shift+Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/signup/**")

    told = run(site, DOSSIER.format(name=name))
    assert "{'ref': 'keyboard'}" in told
    terms = "Terms 2026-11 (fr)" if language == "fr" else "Terms 2026-11"
    for text in (terms, "Privacy policy 2026-11", "Your marketing 2026-11"):
        assert repr(text) in told


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(("scheme", "width"), [("dark", 375), ("light", 1280)])
def test_the_boxes_are_accessible(
    visit: Open, accessible: Callable[[Page], None], scheme: Any, width: int, tmp_path: Path
) -> None:
    page = visit("/", width=width, color_scheme=scheme, script=False)
    send(page)
    accessible(page)
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    page.goto(str(page.get_by_role("link", name=re.compile("terms of use")).get_attribute("href")))
    accessible(page)
