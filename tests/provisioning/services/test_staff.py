"""What staff do, in every state: an allowed action works, any other changes nothing."""

import uuid
from collections.abc import Callable
from functools import partial

import pytest

from provisioning import services
from provisioning.models import Account, Attempt, IllegalMove, MovedMeanwhile
from provisioning.sealed import NOTHING
from tests.provisioning.work import State, account_in, again, now

pytestmark = pytest.mark.django_db

VERBS: dict[str, tuple[Callable[[Account], None], dict[State, State]]] = {
    "approve": (services.approve, {State.HELD: State.QUEUED}),
    "decline": (partial(services.decline, reason="duplicate"), {State.HELD: State.CLOSED}),
    "close": (services.close, dict.fromkeys((State.QUEUED, State.REJECTED, State.UNCONFIRMED), State.CLOSED)),
    "retry": (services.retry, {State.QUEUED: State.QUEUED, State.REJECTED: State.QUEUED}),
    "look_up": (services.look_up, {State.UNCONFIRMED: State.UNCONFIRMED}),
}
"""Name → the function, and from which state it leads to which. For `retry` of unconfirmed accounts see below."""
EVERYWHERE = [(name, state) for name in VERBS for state in State]
ALLOWED = [(name, state) for name, state in EVERYWHERE if state in VERBS[name][1]]


@pytest.mark.parametrize(("name", "state"), EVERYWHERE)
def test_each_action_works_in_its_states_only(name: str, state: State) -> None:
    verb, leads = VERBS[name]
    account = account_in(state, due_at=None)

    if state in leads:
        verb(account)
    else:
        with pytest.raises(IllegalMove):
            verb(account)

    after = again(account)
    assert after.state == leads.get(state, state)
    assert bool(after.password) == (after.state not in Account.FINAL)
    sent_or_looked_for_now = state in leads and after.state in Account.UNDER_WAY
    assert (after.due_at is not None and after.due_at <= now()) == sent_or_looked_for_now


@pytest.mark.parametrize(("name", "state"), ALLOWED)
def test_the_second_of_two_concurrent_actions_changes_nothing(name: str, state: State) -> None:
    account, seen_by_another = account_in(state), Account.objects.get()
    Account.objects.filter(pk=account.pk).update(state=State.CREATED, account_id="1", password=NOTHING)

    with pytest.raises(MovedMeanwhile):
        VERBS[name][0](seen_by_another)

    assert again(account).state == State.CREATED


@pytest.mark.parametrize("name", ["retry", "look_up"])
def test_an_account_that_a_worker_claimed_meanwhile_is_not_changed(name: str) -> None:
    """The state may be unchanged; the claim is not."""
    state = State.QUEUED if name == "retry" else State.UNCONFIRMED
    account = account_in(state)
    again(account).reschedule(due_in=None, claim=uuid.uuid4())

    with pytest.raises(MovedMeanwhile):
        VERBS[name][0](account)

    assert again(account).due_at is None


@pytest.mark.parametrize("outcome", Attempt.Outcome)
def test_an_unconfirmed_account_is_resent_only_after_a_failed_look_up(outcome: str) -> None:
    account = account_in(State.UNCONFIRMED)
    Attempt.objects.create(account=account, kind=Attempt.Kind.LOOK_UP, outcome=outcome)

    if outcome in {Attempt.Outcome.ABSENT, Attempt.Outcome.UNKNOWN, Attempt.Outcome.DIFFERS}:
        services.retry(account)
        assert again(account).state == State.QUEUED
    else:
        with pytest.raises(IllegalMove):
            services.retry(account)
        assert again(account).state == State.UNCONFIRMED


@pytest.mark.parametrize("outcome", ["", *Attempt.Outcome])
def test_an_account_not_looked_up_since_its_last_call_is_not_resent(outcome: str) -> None:
    account = account_in(State.UNCONFIRMED)
    Attempt.objects.create(account=account, kind=Attempt.Kind.LOOK_UP, outcome=Attempt.Outcome.ABSENT)
    Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, outcome=outcome)
    with pytest.raises(IllegalMove):
        services.retry(account)


def test_an_unconfirmed_account_without_a_look_up_is_not_resent() -> None:
    with pytest.raises(IllegalMove):
        services.retry(account_in(State.UNCONFIRMED))


def test_a_rejected_account_can_be_resent_unchanged_under_new_rules() -> None:
    """The provider decides; only newly entered values are validated by the current rules."""
    account = account_in(State.REJECTED, phone="1")
    services.retry(account)
    assert (again(account).state, again(account).phone) == (State.QUEUED, "1")
