"""An administrator brands the page in a real Chromium, and customers see it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.browser.test_form import SHIFTS
from tests.signup.brand.pictures import UNSAFE

ADMINISTRATOR = """
from django.contrib.auth.models import Group, User
ada = User.objects.create_user("ada", is_staff=True)
ada.groups.add(Group.objects.get(name="Administrator"))
"""
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 150 36">
  <path fill="#7a1f4b" d="M18 2c10 6 14 14 10 22-3 6-10 8-16 5C4 25 4 12 18 2z"/>
  <text x="44" y="25" font-family="sans-serif" font-size="20" font-weight="700" fill="#2a1620">Alder &amp; Co</text>
</svg>"""
POINTS = "Free onboarding by our own people\nTemplates made for bakeries\nCancel whenever you like"
LOOKS: list[Any] = [{"width": 320, "color_scheme": "dark"}, pytest.param({"width": 1280}, marks=pytest.mark.long)]
DOWNLOADS = "links => new Set(links.map(link => link.href ?? link.src)).size"

OpenAdmin = Callable[..., Page]


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("brand")) as installation:
        installation.manage("shell", "-v0", "-c", ADMINISTRATOR)
        yield installation


@pytest.fixture(scope="module")
def sessions(site: Installation) -> list[str]:
    """Return the keys of the administrator's sessions, one for each test."""
    return site.staff_sessions(each=20)["ada"]


@pytest.fixture
def open_admin(visit: Open, sessions: list[str]) -> OpenAdmin:
    """Return a function that opens the page of the first brand as the administrator, who is logged in already."""

    def opened(**options: Any) -> Page:
        page = visit("/admin/signup/brand/", session=sessions.pop(), **options)
        listed = page.locator("#result_list").get_by_role("link", name="Alder & Co")
        if not listed.count():
            page.goto("/admin/signup/brand/add/")
            fill_in(page)
            page.get_by_role("button", name="Save", exact=True).click()
        listed.click()
        return page

    return opened


@pytest.fixture
def brand(request: pytest.FixtureRequest, visit: Open) -> None:
    """Make sure that there is a brand."""
    if not visit("/").get_by_role("img", name="Alder & Co").count():
        request.getfixturevalue("open_admin")()


def fill_in(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("Alder & Co")
    page.get_by_label("Color", exact=True).fill("#7a1f4b")
    page.get_by_label("Headline", exact=True).fill("Bring your regulars back")
    page.get_by_label("Selling points", exact=True).fill(POINTS)
    page.get_by_label("Privacy policy", exact=True).fill("https://alder.example.com/privacy")
    choose(page, LOGO.encode())


def choose(page: Page, logo: bytes) -> None:
    page.get_by_label("Logo", exact=True).set_input_files(
        {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": logo}
    )


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_brands_pages_of_the_admin_are_accessible(
    open_admin: OpenAdmin, accessible: Callable[[Page], None], look: dict[str, Any]
) -> None:
    page = open_admin(**look)
    accessible(page)
    assert fits(page)

    page.get_by_label("Color", exact=True).fill("red")
    choose(page, UNSAFE["script"])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("this SVG file contains <script>")).to_be_visible()
    accessible(page)

    page.goto("/admin/signup/brand/")
    accessible(page)
    page.goto("/admin/signup/brand/add/")
    accessible(page)


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_page_with_the_brand_is_accessible(
    brand: None, visit: Open, accessible: Callable[[Page], None], look: dict[str, Any]
) -> None:
    page = visit("/", **look)

    expect(page.get_by_role("img", name="Alder & Co")).to_be_visible()
    accessible(page)
    assert fits(page)


@pytest.mark.parametrize("javascript", [True, False])
def test_a_brand_can_be_previewed_before_customers_see_it(open_admin: OpenAdmin, visit: Open, javascript: bool) -> None:
    page = open_admin(javascript=javascript)
    page.get_by_label("Headline", exact=True).fill("Not yet for everybody")
    choose(page, LOGO.replace("#7a1f4b", "#1f7a4b").encode())
    with page.expect_popup() as popup:
        page.get_by_role("button", name="Preview").click()
    look = popup.value

    expect(look.get_by_role("heading", level=1)).to_have_text("Not yet for everybody")
    assert look.get_by_role("img", name="Alder & Co").evaluate("logo => logo.naturalWidth")
    expect(page.get_by_label("Headline", exact=True)).to_have_value("Not yet for everybody")
    expect(visit("/").get_by_role("heading", level=1)).to_have_text("Bring your regulars back")


def test_typed_values_are_previewed_on_a_phone_and_on_a_computer(open_admin: OpenAdmin) -> None:
    page = open_admin(width=1600)
    entries = page.evaluate("history.length")
    phone, computer = (
        page.frame_locator(f"iframe[title='Preview on a {device}']:last-child") for device in ("phone", "computer")
    )
    headings = [frame.get_by_role("heading", level=1) for frame in (phone, computer)]

    for heading in headings:
        expect(heading).to_have_text("Bring your regulars back")
    assert [frame.locator("html").evaluate("html => html.clientWidth") for frame in (phone, computer)] == [375, 1280]
    page.get_by_label("Headline", exact=True).fill("Come back")
    page.get_by_label("Headline in French", exact=True).fill("Revenez")
    for heading in headings:
        expect(heading).to_have_text("Come back")
    page.get_by_label("Pick a color").fill("#1f7a4b")
    expect(page.get_by_label("Color", exact=True)).to_have_value("#1f7a4b")
    page.get_by_role("combobox", name="in", exact=True).select_option("fr")
    for heading in headings:
        expect(heading).to_have_text("Revenez")
    expect(phone.get_by_role("button", name="Créer mon compte")).to_have_css("background-color", "rgb(31, 122, 75)")
    page.get_by_label("Color", exact=True).fill("red")
    expect(phone.get_by_text("Enter a color like #2454d6.")).to_be_visible()
    assert page.evaluate("history.length") == entries


def test_the_page_has_the_brands_color_and_logo(brand: None, visit: Open) -> None:
    page = visit("/")

    button = page.get_by_role("button", name="Create my account")
    expect(button).to_have_css("background-color", "rgb(122, 31, 75)")
    assert page.get_by_role("img", name="Alder & Co").evaluate("logo => logo.naturalWidth")
    expect(page.get_by_role("listitem").nth(1)).to_have_text("Free onboarding by our own people")


def test_the_page_with_a_brand_is_light_and_nothing_on_it_jumps(brand: None, visit: Open) -> None:
    page = visit("about:blank")
    loaded: list[Request] = []
    page.on("requestfinished", lambda request: loaded.append(request))
    page.goto("/", wait_until="networkidle")

    # It doesn't matter whether a headless browser requests the icon: it is the logo, which is already in its cache.
    sizes = {request.url: request.sizes()["responseBodySize"] for request in reversed(loaded)}
    assert 1 + page.locator("link[href], script[src], img[src]").evaluate_all(DOWNLOADS) == 4
    assert len(sizes) == 4
    assert sum(sizes.values()) <= 50_000
    assert page.evaluate(SHIFTS) == 0


def test_a_logo_opened_on_its_own_runs_no_scripts(brand: None, visit: Open) -> None:
    page = visit("/")
    address = page.get_by_role("img", name="Alder & Co").get_attribute("src")
    response = page.goto(str(address))

    assert response
    assert "sandbox" in response.headers["content-security-policy"]
    assert page.locator("path").count() == 1
