"""Fixtures for browser tests: a real installation, Chromium, and Firefox."""

import os
import shutil
from collections.abc import Callable, Iterator
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
BOTH_ENGINES = pytest.mark.parametrize("browser", list(NAMES), indirect=True, scope="module")
"""For tests of behavior that may differ between engines. All others run in Chromium."""
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


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start Chromium, or the other engine of `BOTH_ENGINES`.

    It ends with the module: while Playwright runs, Django takes the thread for an asynchronous one.
    """
    engine = getattr(request, "param", "chromium")
    program = installed(engine)
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        if engine == "firefox":
            program = str(firefox.starter(program, tmp_path_factory.mktemp("firefox")))
            yield playwright.firefox.launch(channel="moz-firefox", executable_path=program)
        else:
            yield playwright.chromium.launch(executable_path=program, args=QUIET)


@pytest.fixture
def visit(browser: Browser, site: Installation) -> Iterator[Open]:
    """Return a function that opens a page in a new browser context: `visit("/", width=320, javascript=False)`.

    The test fails if a script raises an error, or if the page violates a policy in its headers. `script=False` blocks
    only the page's own script, for axe, which is a script itself.
    """
    faults: list[str] = []
    contexts: list[BrowserContext] = []

    def to(path: str, width: int = 1280, javascript: bool = True, script: bool = True, **options: Any) -> Page:
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


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """Return a function that fails if axe finds a problem on a page."""

    def check(page: Page) -> None:
        page.locator("h1").first.wait_for()  # A slow machine may still be on its way to the page.
        violations = Axe().run(page).response["violations"]
        assert not violations, [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]

    return check
