"""Messages for staff whose colleague was faster: who did what, when, and what was not done."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from provisioning.audit import AuditEntry
from provisioning.models import Account
from provisioning.sealed import NOTHING
from tests.provisioning.admin.conftest import Make, State, told
from tests.provisioning.admin.test_action_views import BY_NAME, LIST, act

AsRole = Callable[[str], Client]
HELD_ONES = f"{LIST}?state__exact=held"


def post(client: Client, action: str, *accounts: Account, page: str = HELD_ONES, **fields: str) -> Any:
    """Send the form of the list of held accounts."""
    data = {"action": action, "_selected_action": [account.pk for account in accounts], "reason": "automated"} | fields
    return client.post(page, data, follow=True)


def a_minute_later() -> None:
    AuditEntry.objects.update(at=F("at") - timedelta(minutes=1))


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_the_second_of_two_is_told_who_was_first_and_when(
    admin_client: Client, as_role: AsRole, make: Make, action: str
) -> None:
    four = [make(State.HELD) for _ in range(4)]
    post(admin_client, "approve", *four)
    a_minute_later()
    answer = post(as_role("Operator"), action, *four)
    assert told(answer) == "Nothing changed for 4 of 4 accounts: 4 are now queued (approved by dora, 1\xa0minute ago)."


def test_overlapping_choices_report_what_was_done_and_what_was_not(
    admin_client: Client, as_role: AsRole, make: Make
) -> None:
    three = [make(State.HELD) for _ in range(3)]
    post(admin_client, "approve", three[0])
    answer = post(as_role("Operator"), "decline", *three, confirmed="yes")
    assert "Declined: 2 accounts." in told(answer)
    assert "Nothing changed for 1 of 3 accounts: 1 is now queued (approved by dora, just now)." in told(answer)


def test_the_confirmation_page_says_which_accounts_are_skipped(
    admin_client: Client, as_role: AsRole, make: Make
) -> None:
    one, two = make(State.HELD), make(State.HELD)
    post(admin_client, "approve", one)
    answer = post(as_role("Operator"), "decline", one, two)
    assert two.username in answer.content.decode()
    assert "Nothing changes for 1 of 2 accounts: 1 is now queued (approved by dora, just now)." in told(answer)


def test_a_change_by_no_colleague_is_told_as_the_state_and_its_age(admin_client: Client, make: Make) -> None:
    account = make(State.CREATED)
    Account.objects.update(state_changed_at=F("state_changed_at") - timedelta(hours=2))
    answer = post(admin_client, "approve", account, page=LIST)
    assert told(answer) == "Nothing changed: the account is now created (changed 2\xa0hours ago)."


def test_choosing_all_acts_on_the_accounts_that_the_list_shows_now(admin_client: Client, make: Make) -> None:
    held, other = make(State.HELD), make(State.REJECTED)
    post(admin_client, "approve", held, select_across="1", index="0")
    held.refresh_from_db()
    other.refresh_from_db()
    assert (held.state, other.state) == (State.QUEUED, State.REJECTED)


def test_a_choice_that_is_not_a_number_is_not_a_server_error(admin_client: Client, make: Make) -> None:
    make(State.HELD)
    data = {"action": "approve", "_selected_action": ["x", "99999999999999999999"]}
    assert admin_client.post(HELD_ONES, data, follow=True).status_code == 200


def test_an_accounts_page_reports_it_too(admin_client: Client, as_role: AsRole, make: Make) -> None:
    account = make(State.HELD)
    act(admin_client, BY_NAME["approve"], account)
    Account.objects.update(state=State.CREATED, account_id="1", password=NOTHING)
    answer = act(as_role("Operator"), BY_NAME["decline"], account, seen="2001-01-01T00:00:00+00:00")
    assert "It is now created" in told(answer)
    assert "approved by dora, just now" in told(answer)


def test_clicking_on_an_empty_page_of_held_sign_ups_is_explained(
    admin_client: Client, as_role: AsRole, make: Make
) -> None:
    make(State.HELD)
    post(admin_client, "approve", Account.objects.get())
    answer = as_role("Operator").post(f"{LIST}held/", {"action": "decline", "reason": "automated"}, follow=True)
    assert "Nothing changed: no accounts are held anymore." in told(answer)
