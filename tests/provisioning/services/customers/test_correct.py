"""A refused value can be corrected, and only that."""

import pytest
from django.core.exceptions import ValidationError

from provisioning import services
from provisioning.models import Account, Attempt, IllegalMove, MovedMeanwhile
from tests.provisioning.services.customers.problems import problem_with
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, again, now

pytestmark = pytest.mark.django_db


def test_a_correction_sends_new_values_and_keeps_the_others() -> None:
    account = account_in(State.REJECTED)

    services.correct(account, {"phone": "555 0100 999", "username": "anna-2"})

    after = again(account)
    assert (after.state, after.phone, after.username) == (State.QUEUED, "555 0100 999", "anna-2")
    assert (after.email, after.password.open()) == (SIGN_UP["email"], SIGN_UP["password"])
    assert after.due_at is not None
    assert after.due_at <= now()


def test_a_password_can_be_corrected_and_is_sealed() -> None:
    account = account_in(State.REJECTED)
    services.correct(account, {"password": "another-horse"})
    assert again(account).password.open() == "another-horse"


def test_an_invalid_correction_changes_nothing() -> None:
    account = account_in(State.REJECTED)
    with pytest.raises(ValidationError) as refusal:
        services.correct(account, {"phone": "1", "organization_name": "New"})
    assert refusal.value.message_dict.keys() == {"phone"}
    assert (again(account).state, again(account).organization_name) == (State.REJECTED, SIGN_UP["organization_name"])


def test_changing_the_country_drops_the_old_state() -> None:
    account = account_in(State.REJECTED)
    services.correct(account, {"country_code": "DE"})
    assert (again(account).country_code, again(account).state_code) == ("DE", "")


def test_only_corrected_values_are_validated() -> None:
    """Values stored under earlier rules must not block a correction."""
    account = account_in(State.REJECTED, phone="1")
    services.correct(account, {"username": "anna-2"})
    assert again(account).state == State.QUEUED


def test_a_correction_to_an_open_accounts_username_is_refused() -> None:
    account = account_in(State.REJECTED)
    account_in(State.QUEUED, username="berta")

    assert problem_with(lambda: services.correct(account, {"username": "berta"})) == ("username", "taken")
    assert again(account).state == State.REJECTED


@pytest.mark.parametrize("state", [state for state in State if state != State.REJECTED])
def test_only_rejected_accounts_can_be_corrected(state: State) -> None:
    """Above all, no account that may exist at Constant Contact, because a correction is sent without a look-up."""
    account = account_in(state)
    with pytest.raises(IllegalMove):
        services.correct(account, {"phone": "555 0100 999"})
    assert (again(account).state, again(account).phone) == (state, SIGN_UP["phone"])


def test_a_correction_may_be_held_for_staff() -> None:
    account = account_in(State.REJECTED)

    services.correct(account, {"phone": "555 0100 999"}, hold=True)

    held = again(account)
    assert (held.state, held.phone, held.due_at) == (State.HELD, "555 0100 999", None)
    assert held.password.open() == SIGN_UP["password"]
    services.approve(held)
    assert again(account).state == State.QUEUED


def test_the_first_of_two_corrections_counts() -> None:
    account, seen_by_another = account_in(State.REJECTED), Account.objects.get()
    services.correct(account, {"phone": "555 0100 999"})
    with pytest.raises(MovedMeanwhile):
        services.correct(seen_by_another, {"phone": "555 0100 111"})
    assert again(account).phone == "555 0100 999"


def test_refused_properties_are_those_of_the_last_call() -> None:
    account = account_in(State.REJECTED)
    assert services.refused(account) == {}
    for refused in ({"email": "Not valid"}, {"phone": "Too short"}):
        Attempt.objects.create(account=account, kind="create", outcome="refused", refused=refused)
    Attempt.objects.create(account=account, kind="look_up")
    assert services.refused(account) == {"phone": "Too short"}
