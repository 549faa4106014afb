import html
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.template.defaultfilters import floatformat
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from provisioning import gateway
from provisioning.admin_site.chart import Chart, shares
from provisioning.admin_site.overview import overview
from provisioning.mirror import passes
from provisioning.models import Account, Attempt, Gateway, ListPass, NoticeRule, Worker
from tests.provisioning.admin.conftest import Make, State, attempt

AsRole = Callable[[str], Client]
Q = "/admin/provisioning/account/"
RULE = 11


def ago(**how_long: float) -> datetime:
    return timezone.now() - timedelta(**how_long)


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    Worker.objects.create(name="host:1")


def test_sign_ups_and_success_are_counted_for_today_7_and_30_days(make: Make) -> None:
    for days in (0, 1, 5, 8, 29, 31):
        make(State.CREATED, submitted_at=ago(days=days))
    make(State.QUEUED)
    make(State.CLOSED, submitted_at=ago(days=3))
    today, week, month = overview().periods
    assert [period.submitted for period in (today, week, month)] == [2, 5, 7]
    assert [period.success for period in (today, week, month)] == [100, 75, pytest.approx(500 / 6)]


def test_without_an_answer_yet_there_is_no_success_rate(make: Make) -> None:
    make(State.QUEUED)
    assert overview().periods[0].success is None


def test_the_times_shown_are_the_median_and_the_95th_percentile(make: Make) -> None:
    for seconds in range(1, 102):
        make(State.CREATED, submitted_at=ago(hours=1), created_at=ago(hours=1) + timedelta(seconds=seconds))
    shown = overview()
    assert shown.median == pytest.approx(51, abs=0.1)
    assert shown.slowest == pytest.approx(96, abs=0.1)


def test_imported_accounts_without_a_time_of_creation_are_not_timed(make: Make) -> None:
    for seconds in (10, 20):
        make(State.CREATED, submitted_at=ago(hours=1), created_at=ago(hours=1) + timedelta(seconds=seconds))
    make(State.CREATED, created_at=None)
    assert overview().median == pytest.approx(15, abs=0.1)


def stop_gateway(make: Make) -> None:
    gateway.stop("401")


def kill_worker(make: Make) -> None:
    Worker.objects.update(seen_at=ago(minutes=2))


def hinder_worker(make: Make) -> None:
    Worker.objects.update(problem="The database is locked by another session.")


def lose_worker(make: Make) -> None:
    Worker.objects.create(name="host:2", started_at=ago(days=1), seen_at=ago(minutes=2))
    Worker.objects.update(started_at=ago(days=1))


def use_quota_up(make: Make) -> None:
    gateway.state()
    Gateway.objects.update(calls=settings.CONSTANT_CONTACT_DAILY_QUOTA - 1, day=datetime.now(UTC).date())


def break_notices(make: Make) -> None:
    NoticeRule.objects.create(pk=RULE, name="Support", problem="The channel answered 404.")


def failing_list(make: Make) -> None:
    ListPass.objects.create(source=passes.source(), outcome=ListPass.Outcome.FAILED, problem="HTTP 404: Not here.")


@pytest.mark.parametrize(
    ("happen", "text", "path"),
    [
        (lambda make: None, "", ""),
        (stop_gateway, "Sending is stopped, so no accounts are created.", "/admin/provisioning/gateway/"),
        (
            hinder_worker,
            "A worker is blocked: The database is locked by another session.",
            "/admin/provisioning/worker/",
        ),
        (lose_worker, "A worker is gone: host:2 stopped reporting.", "/admin/provisioning/worker/"),
        (use_quota_up, "80% of the day's quota is used.", "/admin/provisioning/gateway/"),
        (
            break_notices,
            "Notices by the rule Support could not be sent: The channel answered 404.",
            f"/admin/provisioning/noticerule/{RULE}/change/",
        ),
        (kill_worker, "No worker is running.", "/admin/provisioning/worker/"),
        (lambda make: make(State.HELD), "1 account needs approval.", f"{Q}held/"),
        (lambda make: make(State.REJECTED), "1 account needs a correction.", f"{Q}?state__exact=rejected"),
        (lambda make: make(State.UNCONFIRMED), "", ""),
        (lambda make: make(State.UNCONFIRMED, due_at=None), "1 account may or may not exist.", f"{Q}?show=lost"),
        (
            lambda make: make(State.UNCONFIRMED, submitted_at=ago(days=2), state_changed_at=ago(days=1)),
            "1 account may or may not exist.",
            f"{Q}?show=lost",
        ),
        (
            lambda make: make(State.UNCONFIRMED, state_changed_at=ago(minutes=6)),
            "1 account has been unconfirmed for more than five minutes.",
            f"{Q}?state__exact=unconfirmed",
        ),
        (
            failing_list,
            "Your account list at Constant Contact could not be read: HTTP 404: Not here.",
            "/admin/provisioning/listpass/",
        ),
        (lambda make: make(State.QUEUED), "", ""),
        (
            lambda make: make(State.QUEUED, submitted_at=ago(minutes=11)),
            "1 account has been queued for more than ten minutes.",
            f"{Q}?state__exact=queued",
        ),
        (lambda make: make(State.CREATED), "", ""),
    ],
)
def test_tasks_for_staff_are_listed_with_links(
    admin_client: Client, make: Make, happen: Callable[[Make], object], text: str, path: str
) -> None:
    happen(make)
    assert [(task.text, task.url) for task in overview().tasks] == ([(text, path)] if text else [])
    page = admin_client.get("/admin/").content.decode()
    assert html.escape(text or "Nothing to do right now.") in page
    if path.startswith(f"{Q}?"):
        assert len(admin_client.get(path).context["cl"].result_list) == 1


def test_a_task_has_no_link_that_a_role_could_not_follow(as_role: AsRole, make: Make) -> None:
    break_notices(make)
    text = "Notices by the rule Support could not be sent: The channel answered 404."
    assert f">{text}</a>" in as_role("Administrator").get("/admin/").content.decode()
    assert f"<strong>{text}</strong>" in as_role("Operator").get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (["unknown"] * 2, ""),
        (["unknown", "unusable", "unknown"], "3 of the last 3 calls got HTTP 404."),
        (["created"] + ["unusable"] * 12, "12 of the last 12 calls got HTTP 404."),
        (["unknown"] * 3 + ["created"], ""),
    ],
)
def test_it_says_that_all_calls_fail(outcomes: list[str], words: str, admin_client: Client, make: Make) -> None:
    account = make(State.QUEUED)
    account.attempts.all().delete()
    for outcome in outcomes:
        Attempt.objects.create(account=account, kind="create").complete(outcome=outcome, status=404)
    assert [task.text for task in overview().tasks] == ([words] if words else [])


def test_it_says_that_calls_get_no_answer(make: Make) -> None:
    account = make(State.QUEUED)
    for _ in range(3):
        Attempt.objects.create(account=account, kind="create").complete(outcome="unknown")
    assert overview().tasks[0].text == "3 of the last 3 calls got no answer."


def test_the_quota_used_is_that_of_the_utc_day() -> None:
    gateway.state()
    Gateway.objects.update(calls=77, day=datetime.now(UTC).date())
    assert overview().calls == 77
    Gateway.objects.update(day=datetime.now(UTC).date() - timedelta(days=1))
    assert overview().calls == 0


def test_reasons_of_refusals_are_counted_by_property(make: Make) -> None:
    account = make(State.REJECTED)
    attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "too short", "email": "wrong"})
    attempt(account, Attempt.Outcome.TAKEN, refused={"username": "in use"})
    attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "too short"})
    attempt(account, Attempt.Outcome.REFUSED)
    attempt(account, Attempt.Outcome.UNKNOWN, refused={"phone": "never counted"})
    shown = {share.name: share.count for share in overview().reasons}
    assert shown == {"Phone": 2, "Email address": 1, "Username": 1, "No field named": 1}


def test_percentages_are_rounded_once(admin_client: Client) -> None:
    """If it were first rounded to 50.5, 50.495 would be shown as 51."""
    assert [
        floatformat(share.percent, 0) for share in shares(Counter({("phone", ""): 102, ("username", ""): 100}))
    ] == ["50", "50"]


def test_an_account_is_found_from_the_overview(admin_client: Client, make: Make) -> None:
    make(State.CREATED, organization_name="Blue Door")
    form = admin_client.get("/admin/").content.decode().split('<form class="find"')[1].split("</form>")[0]
    assert 'action="/admin/provisioning/account/"' in form
    assert 'name="q"' in form


def test_counts_of_past_days_are_cached_and_todays_are_not(make: Make) -> None:
    make(State.CREATED, submitted_at=ago(days=2))
    overview()
    make(State.CREATED, submitted_at=ago(days=2))
    make(State.CREATED)
    assert [period.submitted for period in overview().periods] == [1, 2, 2]


def test_the_number_of_queries_does_not_grow_with_the_accounts(admin_client: Client, make: Make) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get("/admin/")
        return len(captured)

    attempt(make(State.REJECTED), Attempt.Outcome.REFUSED)
    queries()
    few = queries()
    for _ in range(20):
        attempt(make(State.REJECTED), Attempt.Outcome.REFUSED)
    assert queries() == few


@pytest.mark.parametrize("role", ["", "Viewer"])
def test_the_overview_needs_the_permission_to_see_accounts(as_role: AsRole, role: str) -> None:
    assert ("Sign-ups by day" in as_role(role).get("/admin/").content.decode()) == (role == "Viewer")


def test_the_overview_works_for_an_empty_installation(admin_client: Client) -> None:
    page = admin_client.get("/admin/").content.decode()
    assert "Nothing to do right now." in page
    assert "Not enough accounts yet." in page
    assert "Nobody has signed up in the last 30 days." in page


def test_the_chart_is_well_formed_in_any_language(admin_client: Client, make: Make, settings: Any) -> None:
    settings.LANGUAGE_CODE = "fr"
    for _ in range(3):
        make(State.CREATED)
    page = admin_client.get("/admin/").content.decode()
    svg = ElementTree.fromstring("<svg" + page.split('<svg class="chart"')[1].split("</svg>")[0] + "</svg>")
    heights = [float(bar.attrib["height"]) for bar in svg.iter("rect")]
    assert len(heights) == 1
    assert svg.findall("g")[-1].findtext("title", "").endswith(": 3")


def test_each_bar_and_each_number_leads_to_the_accounts_it_counts(admin_client: Client, make: Make) -> None:
    day = ago(days=2)
    counted = {make(state, submitted_at=day).username for state in (State.HELD, State.QUEUED)}
    make(State.CREATED, submitted_at=day)
    make(State.HELD, submitted_at=ago(days=3))
    page = admin_client.get("/admin/").content.decode()
    links = re.findall(r'<a href="([^"]*)" tabindex="-1"><rect class="pending"', page)
    assert len(links) == 2
    accounts = admin_client.get(html.unescape(links[1])).context["cl"].result_list
    assert {account.username for account in accounts} == counted
    assert f'<td><a href="{links[1]}">2</a></td>' in page


def test_each_refusal_leads_to_the_accounts_it_counts(admin_client: Client, make: Make) -> None:
    refused, corrected = make(State.REJECTED), make(State.CREATED)
    for account in (refused, corrected):
        attempt(account, Attempt.Outcome.REFUSED, refused={"phone": "no"})
    attempt(make(State.REJECTED), Attempt.Outcome.REFUSED, refused={"email": "no"})
    (link,) = re.findall(r'<a href="([^"]*)">Phone</a>', admin_client.get("/admin/").content.decode())
    accounts = admin_client.get(link).context["cl"].result_list
    assert {account.pk for account in accounts} == {refused.pk, corrected.pk}


@pytest.mark.parametrize(("most", "top"), [(0, 2), (1, 2), (3, 4), (10, 10), (11, 20), (61, 80), (99, 100), (700, 800)])
def test_the_scale_ends_at_a_round_number_just_above_the_highest_bar(most: int, top: int) -> None:
    chart = Chart({date(2026, 7, 14): Counter[str]({State.CREATED: most})})
    assert chart.top == top
    assert all(bar.y >= 0 and bar.y + bar.height <= 200 for _, _, bars in chart.bars for bar in bars)


def test_each_bar_is_as_high_as_its_number(make: Make) -> None:
    counts = Counter[str]({State.CREATED: 6, State.HELD: 2, State.REJECTED: 1, State.UNCONFIRMED: 1})
    ((_, total, bars),) = Chart({date(2026, 7, 14): counts}).bars
    assert total == Account.objects.count() + 10
    assert [(bar.css_class, bar.height / bars[0].height) for bar in bars] == [
        ("created", 1),
        ("pending", pytest.approx(2 / 6, abs=0.01)),
        ("trouble", pytest.approx(2 / 6, abs=0.01)),
    ]
