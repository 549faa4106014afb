import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.admin.changelist import ShortPaginator
from tests.provisioning.admin.conftest import Make, State, told

LIST = "/admin/provisioning/account/"
LAST_DAYS = ("Any date", "Today", "Past 7 days", "Past 30 days")


def date_choices(client: Client, **query: Any) -> list[dict[str, Any]]:
    """Return what the filter by date offers besides the last days."""
    shown = client.get(LIST, query).context["cl"]
    (spec,) = (spec for spec in shown.filter_specs if spec.title == "signed up")
    return [choice for choice in spec.choices(shown) if choice["display"] not in LAST_DAYS]


def dates(client: Client, **query: Any) -> list[str]:
    return [("> " if choice["selected"] else "") + str(choice["display"]) for choice in date_choices(client, **query)]


@pytest.fixture
def three_years(make: Make) -> None:
    for year, month, day in ((2023, 11, 29), (2024, 2, 10), (2025, 1, 2)):
        make(State.CREATED, submitted_at=datetime(year, month, day, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, ["2025", "2024", "2023"]),
        ({"year": 2023}, ["> 2023", "December 2023", "November 2023"]),
        ({"year": 2025}, ["> 2025", "January 2025"]),
        ({"year": 2023, "month": 11}, ["2023", "> November 2023", "Nov. 30, 2023", "Nov. 29, 2023"]),
        ({"year": 2025, "month": 1, "day": 2}, ["2025", "January 2025", "> Jan. 2, 2025", "Jan. 1, 2025"]),
        ({"year": 1999}, ["> 1999"]),
    ],
)
def test_the_list_can_be_narrowed_by_year_month_and_day(
    admin_client: Client, three_years: None, query: dict[str, int], titles: list[str]
) -> None:
    assert dates(admin_client, **{f"submitted_at__{part}": number for part, number in query.items()}) == titles


def test_each_date_links_to_its_accounts_and_keeps_the_filter(admin_client: Client, three_years: None) -> None:
    (link,) = (each["query_string"] for each in date_choices(admin_client, q="alder") if each["display"] == "2024")
    assert "q=alder" in link
    assert [account.submitted_at.year for account in admin_client.get(LIST + link).context["cl"].result_list] == [2024]


@pytest.mark.parametrize(("lookup", "day"), [({"month": 2}, 10), ({"month": 2, "day": 10}, 10), ({}, 10)])
def test_a_month_and_a_day_narrow_the_list_down(
    admin_client: Client, three_years: None, make: Make, lookup: dict[str, int], day: int
) -> None:
    query = {f"submitted_at__{part}": number for part, number in ({"year": 2024} | lookup).items()}
    shown = admin_client.get(LIST, query).context["cl"]
    assert [account.submitted_at.day for account in shown.result_list] == [day]
    assert shown.has_active_filters


@pytest.mark.parametrize("page", ["", "export.csv"])
@pytest.mark.parametrize(
    "query",
    [
        {"submitted_at__year": "x"},
        {"submitted_at__year": 0},
        {"submitted_at__month": "x"},
        {"submitted_at__year": "9" * 20},
        {"submitted_at__year": 9999, "submitted_at__month": 12},
        {"submitted_at__year": 9999},
        {"submitted_at__year": 2023, "submitted_at__month": 13},
    ],
)
def test_an_invalid_date_is_not_a_server_error(
    admin_client: Client, three_years: None, query: dict[str, Any], page: str
) -> None:
    assert admin_client.get(LIST + page, query, follow=True).status_code == 200


def test_an_empty_list_has_no_dates_no_actions_and_no_search(admin_client: Client) -> None:
    assert dates(admin_client) == []
    page = admin_client.get(LIST).content.decode()
    assert 'name="action"' not in page
    assert 'id="searchbar"' not in page
    assert 'id="searchbar"' in admin_client.get(LIST, {"q": "alder"}).content.decode()


def test_a_filter_on_search_results_covers_more_than_the_newest(
    admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShortPaginator, "MAX_ROWS", 2)
    old = make(State.REJECTED)
    for _ in range(3):
        make(State.CREATED)
    shown = admin_client.get(LIST, {"q": "alder", "state__exact": State.REJECTED}).context["cl"].result_list
    assert [account.pk for account in shown] == [old.pk]


def test_pages_of_the_list_are_contiguous(admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.admin.accounts.AccountAdmin.list_per_page", 2)
    names = [make(State.CREATED).username for _ in range(5)]
    shown = [
        [account.username for account in admin_client.get(LIST, {"p": number, "q": "alder"}).context["cl"].result_list]
        for number in (1, 2, 3)
    ]
    assert shown == [[names[4], names[3]], [names[2], names[1]], [names[0]]]


@pytest.mark.parametrize("query", [{}, {"q": "alder"}, {"o": "2"}, {"all": ""}])
def test_the_list_queries_its_accounts_once(admin_client: Client, make: Make, query: dict[str, str]) -> None:
    for _ in range(3):
        make(State.CREATED)
    admin_client.get(LIST)
    with CaptureQueriesContext(connection) as captured:
        assert len(admin_client.get(LIST, query).context["cl"].result_list) == 3
    assert len([each for each in captured if "LIMIT 1000" in each["sql"]]) == 1
    assert not [each for each in captured if "COUNT(" in each["sql"] and "LIMIT" not in each["sql"]]


def test_a_long_list_is_counted_up_to_a_limit(
    admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShortPaginator, "MAX_ROWS", 3)
    for _ in range(2):
        make(State.CREATED)
    assert "2 accounts" in admin_client.get(LIST).content.decode()
    for _ in range(5):
        make(State.CREATED)
    page = admin_client.get(LIST, {"q": "alder"}).content.decode()
    assert "newest 3 accounts; search or filter to find others" in page
    assert "many found" in page


def test_a_search_without_results_suggests_what_to_try(admin_client: Client, make: Make) -> None:
    make(State.CREATED)
    page = admin_client.get(LIST, {"q": "birch"}).content.decode()
    assert 'No account matches "birch"' in page
    assert "Search without the filters" not in page
    filtered = admin_client.get(LIST, {"q": "alder", "state__exact": State.HELD}).content.decode()
    assert '<a href="?q=alder">Search without the filters</a>' in filtered


@pytest.mark.parametrize(
    ("state", "due", "refreshes"),
    [
        (State.QUEUED, True, True),
        (State.SENDING, True, True),
        (State.UNCONFIRMED, True, True),
        (State.UNCONFIRMED, False, False),
        (State.REJECTED, True, False),
        (State.CREATED, False, False),
    ],
)
def test_the_list_refreshes_itself_only_while_a_worker_will_change_it(
    admin_client: Client, make: Make, state: State, due: bool, refreshes: bool
) -> None:
    make(state, **({} if due else {"due_at": None}))
    page = admin_client.get(LIST).content.decode()
    assert ("data-refresh" in page) == ("refresh.js" in page) == refreshes


def test_a_search_keeps_all_states_that_the_list_is_narrowed_down_to(admin_client: Client, make: Make) -> None:
    held, queued = make(State.HELD), make(State.QUEUED)
    make(State.CREATED)
    page = admin_client.get(LIST, {"state__exact": [State.HELD, State.QUEUED], "p": "1"})
    assert {account.pk for account in page.context["cl"].result_list} == {held.pk, queued.pk}
    form = page.content.decode().split('id="changelist-search"')[1].split("</form>")[0]
    assert re.findall(r'name="state__exact" value="(\w+)"', form) == ["held", "queued"]
    assert 'name="p"' not in form
    actions = page.content.decode().split('<select name="action"')[1].split("</select>")[0]
    assert {"approve", "retry"} <= set(re.findall(r'value="(\w+)"', actions))
    assert "wipe_token" not in actions


def test_a_list_that_refreshes_itself_leaves_messages_to_the_page_they_are_for(
    admin_client: Client, make: Make
) -> None:
    make(State.HELD)
    admin_client.post(LIST, {"action": "approve", "index": 0})  # Nothing was selected.
    admin_client.get(LIST, headers={"X-Background": "refresh"})

    assert told(admin_client.get(LIST))
