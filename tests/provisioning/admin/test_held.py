"""What a burst has held is approved or declined in one press."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

import provisioning.admin.held as held
from provisioning.models import Account
from tests.provisioning.admin.conftest import Make, State

PAGE = "/admin/provisioning/account/held/"
AsRole = Callable[[str], Client]


@pytest.fixture
def three(make: Make) -> None:
    for _ in range(3):
        make(State.HELD)
    make(State.REJECTED)


def states() -> list[str]:
    return sorted(Account.objects.values_list("state", flat=True))


@pytest.mark.parametrize(("action", "state"), [("approve", "queued"), ("decline", "closed")])
def test_one_press_is_for_all_that_is_held(three: None, as_role: AsRole, action: str, state: str) -> None:
    client = as_role("Operator")
    assert "3 sign-ups need your approval" in client.get(PAGE).content.decode()

    answer = client.post(PAGE, {"action": action, "reason": "automated"}, follow=True)

    assert "3 accounts" in answer.content.decode()
    assert states() == sorted([state] * 3 + ["rejected"])
    assert LogEntry.objects.count() == 3
    assert "No sign-ups are held" in client.get(PAGE).content.decode()


@pytest.mark.parametrize(("role", "action"), [("Viewer", "approve"), ("Operator", "erase"), ("Operator", "")])
def test_who_may_not_does_nothing(three: None, as_role: AsRole, role: str, action: str) -> None:
    client = as_role(role)
    assert ("Approve all" in client.get(PAGE).content.decode()) == (role == "Operator")

    assert client.post(PAGE, {"action": action}).status_code == 403
    assert states() == ["held", "held", "held", "rejected"]


def test_more_than_one_press_can_take_are_said_to_be_left(
    three: None, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MOST_AT_ONCE", 2)

    answer = as_role("Operator").post(PAGE, {"action": "approve"}, follow=True)

    assert "1 more is still held. Press the button again to continue." in answer.content.decode()
    assert states() == ["held", "queued", "queued", "rejected"]
