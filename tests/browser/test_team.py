"""A day in the admin: two staff members at once, in a real Chromium, on PostgreSQL."""

import csv
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.installation import Installation
from tests.postgresql import PostgreSQL

PASSWORD = "staff-word-1"
TEAM_AND_THEIR_WORK = f"""
import uuid
from datetime import timedelta
from django.contrib.auth.models import Group, User
from django.db.models.functions import Now
from provisioning.models import *
from provisioning.sealed import Sealed
for name in ("Ana", "Ben"):
    user = User.objects.create_user(name.lower(), password={PASSWORD!r}, is_staff=True, first_name=name)
    user.groups.add(Group.objects.get(name="Operator"))

def account(state, organization_name, **values):
    return Account.objects.create(
        submission=uuid.uuid4(), state=state, organization_name=organization_name, country_code="DE",
        last_name="Nowak", email="lukasz@nullmailer.com", username=organization_name.replace(" ", ".").lower(),
        password=Sealed.of("not-a-real-one"), **{{"first_name": "Ida", "phone": "+49 30 7654321"}} | values
    )

rejected = account(
    "rejected", "Zeta Cycles", first_name="Łukasz", phone="+49 30 1234567 ext", due_at=Now() + timedelta(days=7)
)
Attempt.objects.create(account=rejected, kind="create", username=rejected.username).complete(
    outcome="refused", status=400, error_key="json.regex.invalid", refused={{"phone": "Not a valid phone number"}}
)
for name in ("Iota Inn", "Rho Runners"):
    account("held", name)
"""

SOMEBODY_SIGNS_UP = """
import uuid
from provisioning.models import Account
Account.objects.create(submission=uuid.uuid4(), state="closed", organization_name="Nu Nursery", country_code="DE")
"""


def log_in(visit: Open, site: Installation, username: str) -> Page:
    page = visit(f"{site.url}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{site.url}/admin/provisioning/account/")
    return page


def search(page: Page, text: str) -> None:
    page.get_by_label("Search", exact=True).fill(text)
    page.get_by_role("button", name="Search").click()


def tick_both_and_choose(page: Page, action: str) -> None:
    for box in page.locator(".action-select").all():
        box.check()
    page.locator("select[name=action]").select_option(action)


def test_a_day_of_two_staff_members_in_the_admin(visit: Open, database: PostgreSQL, tmp_path: Path) -> None:
    with Installation(tmp_path, DATABASE_URL=database.url) as site:
        site.manage("shell", "-v0", "-c", TEAM_AND_THEIR_WORK)
        ana, ben = log_in(visit, site, "ana"), log_in(visit, site, "ben")
        take_and_note(ana)
        read_and_find(ben, site)
        correct_while_the_other_watches(ana, ben, site)
        decide_at_once(ana, ben, site)
        export(ben, tmp_path)


def take_and_note(ana: Page) -> None:
    """Ana finds the caller as he spells his name, takes his account, and notes what he said."""
    search(ana, "lukasz 1234567")
    ana.get_by_role("link", name="Zeta Cycles").click()
    ana.get_by_role("button", name="Assign to me").click()
    ana.get_by_label("Note").fill("He called. The extension is wrong.")
    ana.get_by_role("button", name="Add note").click()
    expect(ana.locator(".timeline")).to_contain_text("Assigned by Ana.")


def read_and_find(ben: Page, site: Installation) -> None:
    """Ben sees that it is Ana's, and what she noted. He has none himself."""
    ben.reload()
    expect(ben.get_by_role("row", name="Zeta Cycles")).to_contain_text("Ana")
    ben.get_by_role("link", name="Zeta Cycles").click()
    expect(ben.locator(".timeline")).to_contain_text("He called. The extension is wrong.")
    ben.goto(f"{site.url}/admin/provisioning/account/?assignee=me")
    expect(ben.get_by_text("Nothing matches these filters.")).to_be_visible()


def correct_while_the_other_watches(ana: Page, ben: Page, site: Installation) -> None:
    """Ana corrects the account, and somebody signs up. Ben's list shows both without being reloaded.

    Loading it again would keep him logged in for as long as people sign up.
    """
    ana.get_by_role("link", name="Correct and retry").click()
    ana.get_by_label("Phone").fill("+49 30 1234567")
    ana.get_by_role("button", name="Correct and retry").click()
    expect(ana.locator(".outlook .state")).to_have_text("Queued")
    ben.goto(f"{site.url}/admin/provisioning/account/")
    row = ben.get_by_role("row", name="Zeta Cycles")
    expect(row.locator(".state")).to_have_text("Queued")
    ben.evaluate("window.isSamePage = true")
    site.manage("shell", "-v0", "-c", SOMEBODY_SIGNS_UP)
    new = ben.get_by_role("row", name="Nu Nursery")
    new.get_by_role("checkbox").check()
    expect(ben.locator(".action-counter")).to_have_text("1 of 4 selected")
    new.get_by_role("checkbox").uncheck()
    ben.evaluate("document.activeElement.blur()")
    with site.worker():
        expect(row.locator(".state")).to_have_text("Created")
    expect(ben.locator("[data-refresh]")).to_have_count(0)
    assert ben.evaluate("window.isSamePage")


def decide_at_once(ana: Page, ben: Page, site: Installation) -> None:
    """Both decide on the held accounts. The slower one is told who was faster."""
    for page, action in ((ana, "approve"), (ben, "decline")):
        page.goto(f"{site.url}/admin/provisioning/account/?state__exact=held")
        tick_both_and_choose(page, action)
    for page in (ana, ben):
        page.get_by_role("button", name="Go", exact=True).click()
    expect(ana.locator(".messagelist")).to_contain_text("Approved: 2 accounts.")
    expect(ben.locator(".messagelist")).to_contain_text(
        "Nothing changed for 2 of 2 accounts: 2 are now queued (approved by Ana, just now)."
    )


def export(ben: Page, directory: Path) -> None:
    """Ben exports all accounts for a spreadsheet, and the audit trail knows."""
    ben.get_by_role("navigation", name="States").get_by_role("link", name="All").click()
    with ben.expect_download() as download:
        ben.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(directory / "accounts.csv")
    with (directory / "accounts.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["Organization"]: row for row in csv.DictReader(file)}
    assert {name: row["State"] for name, row in rows.items()} == {
        "Zeta Cycles": "Created",
        "Iota Inn": "Queued",
        "Rho Runners": "Queued",
        "Nu Nursery": "Closed",
    }
    assert (rows["Zeta Cycles"]["Phone"], rows["Zeta Cycles"]["Country"]) == ("+49 30 1234567", "Germany")
    ben.get_by_role("link", name="Audit trail").click()
    expect(ben.locator("#result_list tbody tr").first).to_contain_text("Accounts exported")
