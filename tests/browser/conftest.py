"""Fixtures for browser tests: a real installation, Chromium, and Firefox."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser import firefox
from tests.browser.installation import Installation
from tests.patience import PATIENCE

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "firefox": ("firefox-esr", "firefox"),
}
BOTH_ENGINES = pytest.mark.parametrize("browser", list(NAMES), indirect=True)
"""For tests of behavior that may differ between engines. All others run in Chromium."""
FIREFOX_AT_LENGTH = pytest.mark.parametrize(
    "browser", ["chromium", pytest.param("firefox", marks=pytest.mark.long)], indirect=True
)
"""The same, for behavior that other tests show in both: Firefox runs only nightly."""
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


def installed(engine: str) -> str:
    """Return the path of that browser. If it is missing, skip the test, or fail it in CI."""
    path = next(filter(None, map(shutil.which, NAMES[engine])), None)
    if path:
        return path
    message = f"No {engine} found (looked for {', '.join(NAMES[engine])}): install one to run the tests in a browser."
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    return installed("chromium")


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("installation")) as installation:
        yield installation


def no_loop() -> None:
    raise RuntimeError


@pytest.fixture(scope="session")
def start_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Browser]]:
    """Return a function that starts an engine, once for all tests."""
    expect.set_options(timeout=PATIENCE * 1000)
    started: dict[str, Browser] = {}
    with pytest.MonkeyPatch.context() as django, sync_playwright() as playwright:
        # While Playwright runs, Django takes this thread for an asynchronous one, and would refuse to use the database.
        django.setattr("django.utils.asyncio.get_running_loop", no_loop)

        def start(engine: str) -> Browser:
            program = installed(engine)
            if engine not in started or not started[engine].is_connected():
                started[engine] = (
                    playwright.firefox.launch(
                        channel="moz-firefox",
                        executable_path=str(firefox.starter(program, tmp_path_factory.mktemp("firefox"))),
                    )
                    if engine == "firefox"
                    else playwright.chromium.launch(executable_path=program, args=QUIET)
                )
            return started[engine]

        yield start


@pytest.fixture
def browser(request: pytest.FixtureRequest, start_browser: Callable[[str], Browser]) -> Browser:
    """Return Chromium, or the engine that `BOTH_ENGINES` or `FIREFOX_AT_LENGTH` gives."""
    return start_browser(getattr(request, "param", "chromium"))


@pytest.fixture
def visit(browser: Browser, site: Installation) -> Iterator[Open]:
    """Return a function that opens a page in a new browser context: `visit("/", width=320, javascript=False)`.

    The test fails if a script raises an error, or if the page violates a policy in its headers. `script=False` blocks
    only the page's own script, for axe, which is a script itself. `session` is the key of a staff member's session.
    """
    faults: list[str] = []
    contexts: list[BrowserContext] = []

    def to(
        path: str, width: int = 1280, javascript: bool = True, script: bool = True, session: str = "", **options: Any
    ) -> Page:
        context = browser.new_context(
            base_url=site.url,
            viewport={"width": width, "height": 800},
            java_script_enabled=javascript,
            reduced_motion="reduce",
            **options,
        )
        if not script:
            context.route("**/*.js", lambda route: route.abort())
        contexts.append(context)
        if session:
            address = site.url.replace("http:", "https:")  # Browsers send secure cookies to this machine by HTTP, too.
            context.add_cookies([{"name": "__Host-sessionid", "value": session, "url": address, "secure": True}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Policy" in said.text else None)
        page.goto(path)
        return page

    yield to
    for context in contexts:
        context.close()
    assert not faults


COLORS = ["color-contrast", "link-in-text-block"]
"""Axe's rules whose result depends on the color scheme."""


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """Return a function that fails if axe finds a problem on a page."""
    return check_accessibility


def check_accessibility(page: Page, rules: Sequence[str] = ()) -> None:
    """Fail if axe finds a problem on a page, by all its rules or only by these."""
    page.locator("h1").first.wait_for()  # A slow machine may still be on its way to the page.
    # Without preloading, which would add inline styles that our policy forbids.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = list(rules)
    violations = Axe().run(page, options=options).response["violations"]
    assert not violations, [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]
