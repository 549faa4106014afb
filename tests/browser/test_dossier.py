"""A visitor from a campaign makes a mistake, changes the language, accepts the terms, and signs up."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.journey import fill_in, fresh_name, send

SCHEMES: list[Any] = ["light", "dark"]
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


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [375, 1280])
def test_the_boxes_are_accessible(
    visit: Open, accessible: Callable[[Page], None], scheme: Any, width: int, tmp_path: Path
) -> None:
    page = visit("/", width=width, color_scheme=scheme, script=False)
    send(page)
    accessible(page)
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    page.goto(str(page.get_by_role("link", name=re.compile("terms of use")).get_attribute("href")))
    accessible(page)
