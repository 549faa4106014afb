from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from provisioning.admin.actions import ACTIONS, Action
from provisioning.audit import AuditEntry
from provisioning.models import Account, Attempt
from provisioning.sealed import NOTHING
from tests.provisioning.admin.conftest import ROLES, Make, State, attempt, page_of, told
from tests.provisioning.states.choices import VERBS

pytestmark = pytest.mark.once

LIST = "/admin/provisioning/account/"
AsRole = Callable[[str], Client]

LEADS_TO = {
    ("approve", State.HELD): State.QUEUED,
    ("decline", State.HELD): State.CLOSED,
    ("retry", State.QUEUED): State.QUEUED,
    ("retry", State.REJECTED): State.QUEUED,
    ("retry", State.UNCONFIRMED): State.QUEUED,
    ("look_up", State.UNCONFIRMED): State.UNCONFIRMED,
    ("close", State.QUEUED): State.CLOSED,
    ("close", State.REJECTED): State.CLOSED,
    ("close", State.UNCONFIRMED): State.CLOSED,
    ("wipe_token", State.CREATED): State.CREATED,
    ("erase", State.HELD): State.CLOSED,
    ("erase", State.QUEUED): State.CLOSED,
    ("erase", State.UNCONFIRMED): State.CLOSED,
    ("erase", State.REJECTED): State.CLOSED,
    ("erase", State.CREATED): State.CREATED,
    ("erase", State.CLOSED): State.CLOSED,
    **{("assign", state): state for state in State},
}
"""Every action in every state that allows it, and the state after it."""

BY_NAME = {action.name: action for action in ACTIONS}
ONCE = {"approve", "decline", "close", "wipe_token", "erase"}
"""Actions that have nothing to do a second time."""
ASKS = {"decline", "close", "wipe_token", "erase", "assign"}
"""Actions with a page of their own, for confirmation or for what they need."""
ADMINISTRATORS = {"erase", "wipe_token"}
"""Actions that operators may not take."""


def may(role: str, action: Action) -> bool:
    return role == "Administrator" or (role == "Operator" and action.name not in ADMINISTRATORS)


actions = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
states = pytest.mark.parametrize("state", list(State))


def made(make: Make, state: State) -> Account:
    account = make(state)
    if state == State.UNCONFIRMED:
        attempt(account, Attempt.Outcome.UNKNOWN)
        attempt(account, Attempt.Outcome.ABSENT, Attempt.Kind.LOOK_UP)
    return account


def act(client: Client, action: Action, account: Account, **fields: str) -> Any:
    seen = account.state_changed_at.isoformat()
    return client.post(
        reverse(f"admin:provisioning_account_{action.name}", args=[account.pk]),
        {"seen": seen, "confirmed": "yes", "reason": "duplicate"} | fields,
        follow=True,
    )


def act_in_bulk(client: Client, action: Action, *accounts: Account, **fields: str) -> Any:
    data = {
        "action": action.name,
        "_selected_action": [account.pk for account in accounts],
        "confirmed": "yes",
        "reason": "duplicate",
    } | fields
    return client.post(LIST, data, follow=True)


def due_at(account: Account) -> Any:
    return Account.objects.values_list("state", "due_at", "password").get(pk=account.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["Operator", "Administrator"])
@actions
def test_a_migration_gives_its_permission_to_the_roles(action: Action, role: str) -> None:
    """Use `provisioning.roles.grant` in the migration that adds the permission."""
    app_label, codename = action.permission.split(".")
    has_it = Permission.objects.filter(content_type__app_label=app_label, codename=codename, group__name=role).exists()
    assert has_it == may(role, action), f"{role} and {action.permission}"


@actions
def test_an_action_leads_only_where_accounts_may_move(action: Action) -> None:
    """Add the move to `Account.MOVES`, and to the diagram in docs/architecture.md."""
    leads = {state: to for (name, state), to in LEADS_TO.items() if name == action.name}
    assert leads.keys() == action.states, "complete LEADS_TO"
    assert [f"{state} → {to}" for state, to in leads.items() if to != state and to not in Account.MOVES[state]] == []


def test_every_action_that_moves_accounts_is_tried_in_any_order() -> None:
    """Hypothesis finds what an action does to an account whose call was never answered: two accounts, or none."""
    moving = {name for (name, state), to in LEADS_TO.items() if to != state}
    assert moving - set(VERBS) == set(), "add it to VERBS in tests/provisioning/states/choices.py"


@pytest.mark.once
@pytest.mark.parametrize("role", ROLES)
@states
@actions
def test_an_action_needs_its_permission_and_a_state_that_allows_it(
    as_role: AsRole, make: Make, action: Action, state: State, role: str
) -> None:
    account = made(make, state)
    before = due_at(account)
    response = act(as_role(role), action, account)
    if not may(role, action):
        assert response.status_code == 403
        assert due_at(account) == before
    elif (action.name, state) in LEADS_TO:
        account.refresh_from_db()
        assert account.state == LEADS_TO[action.name, state]
        assert str(action.done) in told(response)
        assert AuditEntry.objects.get().what == str(action.done)
    else:
        assert "Nothing was done" in told(response)
        assert due_at(account) == before
        assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("role", ROLES)
@states
def test_an_accounts_page_offers_only_the_actions_that_are_allowed(
    as_role: AsRole, make: Make, state: State, role: str
) -> None:
    account = made(make, state)
    page = as_role(role).get(page_of(account)).content.decode()
    offered = {name for name in BY_NAME if reverse(f"admin:provisioning_account_{name}", args=[account.pk]) in page}
    assert offered == {name for name, action in BY_NAME.items() if may(role, action) and (name, state) in LEADS_TO}


@actions
def test_an_action_clicked_twice_is_done_once(admin_client: Client, make: Make, action: Action) -> None:
    state = next(state for name, state in LEADS_TO if name == action.name)
    account = made(make, state)
    act(admin_client, action, account)
    first = AuditEntry.objects.count()
    again = act(admin_client, action, account)
    account.refresh_from_db()
    assert account.state == LEADS_TO[action.name, state]
    if action.name in ONCE:
        assert "Nothing was done" in told(again)
        assert AuditEntry.objects.count() == first


@actions
def test_an_action_is_not_done_if_the_account_changed_meanwhile(
    admin_client: Client, make: Make, action: Action
) -> None:
    account = made(make, next(state for name, state in LEADS_TO if name == action.name))
    before = due_at(account)
    response = act(admin_client, action, account, seen="2001-01-01T00:00:00+00:00")
    assert "has changed since you opened it" in told(response)
    assert due_at(account) == before


def test_a_late_action_reports_what_happened_meanwhile(admin_client: Client, make: Make) -> None:
    account = make(State.HELD)
    act(admin_client, BY_NAME["approve"], account)
    assert "is now queued (approved by dora, just now)." in told(act(admin_client, BY_NAME["decline"], account))


@actions
def test_an_action_that_cannot_be_undone_asks_for_confirmation(
    admin_client: Client, make: Make, action: Action
) -> None:
    account = made(make, next(state for name, state in LEADS_TO if name == action.name))
    data = {"seen": account.state_changed_at.isoformat()}
    response = admin_client.post(reverse(f"admin:provisioning_account_{action.name}", args=[account.pk]), data)
    asked = response.status_code == 200 and escape(action.warning) in response.content.decode()
    assert asked == action.asks
    assert asked == (action.name in ASKS)


def test_the_confirmation_page_names_what_it_is_about(admin_client: Client, make: Make) -> None:
    one, two = make(State.HELD), make(State.HELD)
    page = admin_client.get(reverse("admin:provisioning_account_erase", args=[one.pk])).content.decode()
    assert f"<h1>Erase the personal data of {one.organization_name}?</h1>" in page
    page = admin_client.post(LIST, {"action": "decline", "_selected_action": [one.pk, two.pk]}).content.decode()
    assert "<h1>Decline 2 accounts?</h1>" in page


def test_closing_an_account_wipes_the_password(admin_client: Client, make: Make) -> None:
    account = make(State.REJECTED)
    act(admin_client, BY_NAME["close"], account)
    account.refresh_from_db()
    assert account.password == NOTHING


def test_looking_at_the_confirmation_page_does_nothing(admin_client: Client, make: Make) -> None:
    account = make(State.REJECTED)
    assert admin_client.get(reverse("admin:provisioning_account_close", args=[account.pk])).status_code == 200
    assert due_at(account)[0] == State.REJECTED


@actions
def test_a_bulk_action_skips_and_names_accounts_whose_state_forbids_it(
    admin_client: Client, make: Make, action: Action
) -> None:
    accounts = {state: made(make, state) for state in State}
    response = act_in_bulk(admin_client, action, *accounts.values())
    legal = {state for name, state in LEADS_TO if name == action.name}
    for state, account in accounts.items():
        account.refresh_from_db()
        assert account.state == LEADS_TO.get((action.name, state), state)
    assert f"{len(legal)} account" in told(response)
    left = f"Nothing changed for {len(State) - len(legal)} of {len(State)} accounts"
    assert (left in told(response)) == (len(legal) < len(State))
    assert AuditEntry.objects.count() == len(legal)


@pytest.mark.parametrize("role", ROLES)
@actions
def test_a_bulk_action_needs_its_permission(as_role: AsRole, make: Make, action: Action, role: str) -> None:
    state = next(state for name, state in LEADS_TO if name == action.name)
    account = made(make, state)
    client = as_role(role)
    act_in_bulk(client, action, account)
    assert AuditEntry.objects.exists() == may(role, action)
    if role:
        assert (f'value="{action.name}"' in client.get(LIST).content.decode()) == may(role, action)


def test_a_bulk_action_that_cannot_be_undone_asks_for_confirmation(admin_client: Client, make: Make) -> None:
    rejected, created = make(State.REJECTED), make(State.CREATED)
    data = {"action": "close", "_selected_action": [rejected.pk, created.pk]}
    page = admin_client.post(LIST, data).content.decode()
    assert rejected.username in page
    assert created.username not in page
    assert due_at(rejected)[0] == State.REJECTED


@pytest.mark.parametrize("action", ["close", "erase"])
def test_staff_are_warned_that_a_closed_account_may_exist(admin_client: Client, make: Make, action: str) -> None:
    warning = "may exist at Constant Contact"
    doubtful, certain = made(make, State.UNCONFIRMED), make(State.REJECTED)

    for account in (doubtful, certain):
        page = admin_client.get(reverse(f"admin:provisioning_account_{action}", args=[account.pk])).content.decode()
        assert (warning in page) == (account == doubtful)

    data = {"action": action, "_selected_action": [doubtful.pk, certain.pk]}
    page = admin_client.post(LIST, data).content.decode()
    assert page.count(f"<strong>{warning}") == 1


def test_a_bulk_action_on_too_many_accounts_is_refused(
    admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.admin.action_views.MAX_ACCOUNTS", 1)
    one, two = make(State.HELD), make(State.HELD)
    assert "at most 1 accounts" in told(act_in_bulk(admin_client, BY_NAME["approve"], one, two))
    assert {due_at(one)[0], due_at(two)[0]} == {State.HELD}


def test_a_list_of_one_state_offers_only_actions_for_that_state(admin_client: Client, make: Make) -> None:
    make(State.HELD)
    page = admin_client.get(LIST, {"state__exact": "held"}).content.decode()
    assert 'value="approve"' in page
    assert 'value="close"' not in page
