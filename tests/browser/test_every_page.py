"""Every page that each role can reach in the admin: with axe in both schemes and at each width, and by keyboard."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import COLORS, Open, check_accessibility
from tests.browser.installation import Installation
from tests.browser.keyboard import walk
from tests.browser.test_admin import STAFF_AND_THEIR_WORK, fits

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ROLES = ("Superuser", "Administrator", "Operator", "Viewer")
ONE_OF_EACH = """
from django.contrib.admin.models import LogEntry
from django_otp.plugins.otp_totp.models import TOTPDevice
from signup.models import *
from signup.legal.models import LegalText
from signup.api.models import ApiKey
now = Now()
user = User.objects.get(username="operator")
brand = Brand.objects.create(name="International Association of Independent Booksellers and Stationers (Northern)"[:80])
for number in range(2):
    text = LegalText(brand=brand, kind="terms", version=str(number), text="Our terms")
    if number:
        text.publish("2026-01-01T00:00Z")
    text.save()
    ApiKey.objects.create(name="CRM", prefix=f"ccs_{number}", scopes=["read"], created_by=user)
endpoint = Endpoint.objects.create(name="CRM", url="https://crm.example.com/", events=["signup.held"])
event = Event.objects.create(type="signup.held", account=account, is_routed=True)
delivery = Delivery.objects.create(event=event, endpoint=endpoint, state="failed", due_at=None)
DeliveryAttempt.objects.create(delivery=delivery, ended_at=now, status=503, answer="Later")
NoticeRule.objects.create(name="Support", incidents=["worker"], user=user)
Incident.objects.create(kind="worker", detail="web-1")
Mail.objects.create(account=account, origin="https://signup.example.com/", event="rejected")
TOTPDevice.objects.create(user=user, name="default", confirmed=False)
problem = {"subject": "Workers", "level": "failure", "text": "None runs.", "fix": "Start one."}
Diagnosis.objects.create(findings=[problem])
ListPass.objects.create(source="s", outcome="failed", problem="503", due_at=None)
ListEntry.objects.create(account_id="4711", username="theta.yoga")
Worker.objects.create(name="web-1")
LogEntry.objects.log_actions(user.pk, [brand, endpoint], 2, "Changed")
"""


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("every-page")) as installation:
        installation.manage("seed", "60", "--days=40", DEBUG="true")
        installation.manage("shell", "-v0", "-c", STAFF_AND_THEIR_WORK + ONE_OF_EACH)
        yield installation


@pytest.fixture(scope="module")
def sessions(site: Installation) -> dict[str, list[str]]:
    return site.staff_sessions(each=5)


def pages_of(page: Page) -> Iterator[str]:
    """Open one page of each kind that links lead to, like the page of one account, and yield its address."""
    left, seen = ["/admin/"], set[str]()
    while left:
        path = left.pop()
        kind = re.sub(r"\d+", "N", path)
        if kind in seen:
            continue
        seen.add(kind)
        page.goto(path)
        yield path
        host = urlsplit(page.url).netloc
        for link in page.eval_on_selector_all("a[href]", "links => links.map((link) => link.href)"):
            target = urlsplit(str(link))
            if target.netloc == host and target.path.startswith("/admin/") and "." not in target.path:
                left.append(target.path)
    assert len(seen) > 20


@pytest.mark.parametrize("role", ROLES)
def test_it_has_no_problem_for_axe_and_fits(visit: Open, sessions: dict[str, list[str]], role: str) -> None:
    def opened(scheme: str) -> Page:
        return visit("/admin/", session=sessions[role.lower()].pop(), color_scheme=scheme)

    light, dark = opened("light"), opened("dark")
    for path in pages_of(light):
        dark.goto(path)
        for page, width, rules in ((light, 1280, ()), (light, 1920, COLORS), (dark, 375, ()), (dark, 1280, COLORS)):
            page.set_viewport_size({"width": width, "height": 800})
            check_accessibility(page, rules)
            assert fits(page), (path, width)


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("role", ROLES)
def test_it_can_be_used_by_keyboard_alone(visit: Open, sessions: dict[str, list[str]], role: str, width: int) -> None:
    page = visit("/admin/", session=sessions[role.lower()].pop(), width=width)
    for _path in pages_of(page):
        walk(page)
