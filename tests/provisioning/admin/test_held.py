"""All held accounts can be approved or declined with one button."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

import provisioning.admin.held as held
from provisioning.audit import AuditEntry
from provisioning.models import Account
from tests.provisioning.admin.conftest import Make, State

PAGE = "/admin/provisioning/account/held/"
AsRole = Callable[[str], Client]


@pytest.fixture
def three(make: Make) -> None:
    for _ in range(3):
        make(State.HELD)
    make(State.REJECTED)


def press(client: Client, action: str, **fields: str) -> Any:
    """Open the page and press a button on it."""
    seen = client.get(PAGE).context["seen"]
    return client.post(PAGE, {"action": action, "seen": seen} | fields, follow=True)


def states() -> list[str]:
    return sorted(Account.objects.values_list("state", flat=True))


def test_the_page_shows_the_oldest_and_how_many_more(
    admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MAX_SHOWN", 2)
    for number in range(3):
        make(State.HELD, organization_name=f"Org {number}", submitted_at=timezone.now() - timedelta(hours=3 - number))
    page = admin_client.get(PAGE).content.decode()
    assert "Org 0" in page
    assert "Org 1" in page
    assert "Org 2" not in page
    assert "There is 1 more." in page


@pytest.mark.parametrize(("action", "state"), [("approve", "queued"), ("decline", "closed")])
def test_one_click_covers_all_held_sign_ups(three: None, as_role: AsRole, action: str, state: str) -> None:
    client = as_role("Operator")
    assert "3 accounts need approval" in client.get(PAGE).content.decode()

    answer = press(client, action, reason="automated")

    assert "3 accounts" in answer.content.decode()
    assert states() == sorted([state] * 3 + ["rejected"])
    assert AuditEntry.objects.count() == 3
    assert "No accounts are held" in client.get(PAGE).content.decode()


@pytest.mark.parametrize(("role", "action"), [("Viewer", "approve"), ("Operator", "erase"), ("Operator", "")])
def test_staff_without_the_permission_can_do_nothing(three: None, as_role: AsRole, role: str, action: str) -> None:
    client = as_role(role)
    assert ("Approve all" in client.get(PAGE).content.decode()) == (role == "Operator")

    assert client.post(PAGE, {"action": action}).status_code == 403
    assert states() == ["held", "held", "held", "rejected"]


def test_the_page_says_how_many_one_click_could_not_cover(
    three: None, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MAX_ACCOUNTS", 2)

    answer = press(as_role("Operator"), "approve")

    assert "1 more is still held. Press the button again to continue." in answer.content.decode()
    assert states() == ["held", "queued", "queued", "rejected"]


@pytest.mark.parametrize("action", ["approve", "decline"])
def test_sign_ups_held_after_the_page_was_opened_are_left(
    three: None, make: Make, as_role: AsRole, action: str
) -> None:
    client = as_role("Operator")
    seen = client.get(PAGE).context["seen"]
    late = make(State.HELD, state_changed_at=timezone.now() + timedelta(seconds=1))

    answer = client.post(PAGE, {"action": action, "reason": "automated", "seen": seen}, follow=True)

    assert Account.objects.get(state="held") == late
    assert "1 more is still held" in answer.content.decode()


@pytest.mark.parametrize("seen", ["", "x", "2026-02-31", "9" * 30, "\0", "0001-01-01T00:00+14:00"])
def test_nothing_is_done_if_the_page_showed_no_held_sign_ups(three: None, as_role: AsRole, seen: str) -> None:
    as_role("Operator").post(PAGE, {"action": "approve", "seen": seen})

    assert states() == ["held", "held", "held", "rejected"]


def test_whoever_may_not_decide_is_told_so(as_role: AsRole, make: Make) -> None:
    make(State.HELD)
    page = as_role("Viewer").get(PAGE).content.decode()
    assert "Your role can't approve or decline them." in page
    assert "Cancel" not in page
