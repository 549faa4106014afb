"""Staff share the work: who takes care of which account."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning.models import Account, AuditEntry
from tests.provisioning.admin.conftest import Make, State, page_of, told

LIST = "/admin/provisioning/account/"


@pytest.fixture
def ben(db: None) -> User:
    ben = User.objects.create_user("ben", first_name="Ben", last_name="Bauer", is_staff=True)
    ben.groups.add(Group.objects.get(name="Operator"))
    return ben


def assign(client: Client, account: Account, to: User | None, **fields: str) -> Any:
    data = {"confirmed": "yes", "assignee": to.pk if to else ""} | fields
    return client.post(reverse("admin:provisioning_account_assign", args=[account.pk]), data, follow=True)


def test_an_account_is_assigned_to_a_colleague_and_unassigned(admin_client: Client, make: Make, ben: User) -> None:
    account = make(State.HELD)
    page = assign(admin_client, account, ben).content.decode()
    assert "Assigned to Ben Bauer" in page
    assert "Assigned by dora." in page
    assert "to Ben Bauer" in AuditEntry.objects.get().detail
    assign(admin_client, account, None)
    account.refresh_from_db()
    assert account.assignee is None
    assert AuditEntry.objects.first().detail == "to nobody instead of Ben Bauer"  # type: ignore[union-attr]


def test_taking_a_colleagues_account_says_whose_it_was(admin_client: Client, make: Make, ben: User) -> None:
    account = make(State.HELD, assignee=ben)
    response = assign(admin_client, account, User.objects.get(username="dora"))
    assert "Assigned to dora instead of Ben Bauer." in told(response)
    assert AuditEntry.objects.get().detail == "to dora instead of Ben Bauer"
    assert "Assigned to dora." in told(assign(admin_client, account, User.objects.get(username="dora")))


def test_staff_with_the_longest_names_take_over_from_each_other(admin_client: Client, make: Make) -> None:
    first, second = (
        User.objects.create_user(name, first_name=name[0] * 150, last_name=name[0] * 150, is_staff=True)
        for name in ("ada", "ben")
    )
    account = make(State.HELD, assignee=first)
    assert "Assigned to bbb" in told(assign(admin_client, account, second))
    entry = AuditEntry.objects.get()
    entry.full_clean(exclude=["changes"])
    assert entry.detail.startswith("to bbb")


def test_one_button_assigns_an_account_to_yourself(admin_client: Client, make: Make) -> None:
    account = make(State.HELD)
    page = admin_client.get(page_of(account))
    assert "Assign to me" in page.content.decode()
    dora = User.objects.get(username="dora")
    assert "Assigned to you" in assign(admin_client, account, dora).content.decode()
    assert "Assign to me" not in admin_client.get(page_of(account)).content.decode()


def test_a_bulk_assignment_says_who_has_the_accounts_now(admin_client: Client, make: Make, ben: User) -> None:
    accounts = [make(State.HELD, assignee=ben), make(State.CREATED)]
    data = {"action": "assign", "_selected_action": [account.pk for account in accounts]}
    page = admin_client.post(LIST, data).content.decode()
    assert page.count("assigned to Ben Bauer") == 1
    assert '<option value="">Nobody</option>' in page
    dora = User.objects.get(username="dora")
    response = admin_client.post(LIST, data | {"confirmed": "yes", "assignee": dora.pk}, follow=True)
    assert "Assigned: 2 accounts." in told(response)
    assert Account.objects.filter(assignee=dora).count() == 2


@pytest.mark.parametrize("who", [{"is_active": False}, {"is_staff": False}])
def test_only_active_staff_can_get_accounts(admin_client: Client, make: Make, ben: User, who: dict[str, bool]) -> None:
    User.objects.filter(pk=ben.pk).update(**who)
    account = make(State.HELD)
    assert "Select a valid choice" in assign(admin_client, account, ben).content.decode()
    account.refresh_from_db()
    assert account.assignee is None


@pytest.mark.parametrize(
    ("assignee", "shown"), [("me", ["mine"]), ("nobody", ["free"]), ("x", ["bens", "free", "mine"])]
)
def test_the_list_can_be_filtered_to_mine_or_unassigned(
    admin_client: Client, make: Make, ben: User, assignee: str, shown: list[str]
) -> None:
    make(State.HELD, username="mine", assignee=User.objects.get(username="dora"))
    make(State.HELD, username="bens", assignee=ben)
    make(State.HELD, username="free")
    page = admin_client.get(LIST, {"assignee": assignee})
    assert sorted(account.username for account in page.context["cl"].result_list) == shown


def test_a_colleagues_accounts_are_found_by_their_name(admin_client: Client, make: Make, ben: User) -> None:
    make(State.HELD, username="bens", assignee=ben)
    make(State.HELD)
    page = admin_client.get(LIST, {"assignee": str(ben.pk)})
    assert [account.username for account in page.context["cl"].result_list] == ["bens"]
    assert 'class="field-assigned_to">Ben Bauer<' in page.content.decode()


def test_a_long_name_can_be_broken_like_an_email_address(admin_client: Client, make: Make) -> None:
    make(State.HELD, assignee=User.objects.create_user("anna@<id>.example", is_staff=True))
    page = admin_client.get(LIST).content.decode()
    assert 'class="field-assigned_to">anna<wbr>@&lt;id&gt;<wbr>.example<' in page


def test_an_account_stays_when_its_assignee_leaves(make: Make, ben: User) -> None:
    account = make(State.HELD, assignee=ben)
    ben.delete()
    account.refresh_from_db()
    assert account.assignee is None


def test_assignees_do_not_add_queries_to_the_list(admin_client: Client, make: Make, ben: User) -> None:
    make(State.HELD)
    admin_client.get(LIST)
    costs: list[int] = []
    for _ in range(2):
        for number in range(3):
            make(State.HELD, assignee=User.objects.create_user(f"staff-{number}-{len(costs)}", is_staff=True))
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(LIST)
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_a_note_or_an_assignment_is_not_reported_as_a_change(
    as_role: Callable[[str], Client], make: Make, ben: User
) -> None:
    account = make(State.HELD)
    operator = as_role("Operator")
    operator.post(reverse("admin:provisioning_account_approve", args=[account.pk]))
    assign(operator, account, ben)
    response = as_role("Administrator").post(LIST, {"action": "approve", "_selected_action": [account.pk]}, follow=True)
    assert "approved by operator-ana" in told(response)
