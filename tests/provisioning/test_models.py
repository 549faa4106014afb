"""The models: moves, claims, evidence, and database constraints."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from provisioning.models import Account, Attempt, Gateway, IllegalMove, MovedMeanwhile, Worker
from provisioning.sealed import NOTHING, Sealed

pytestmark = pytest.mark.django_db
State = Account.State


def an_account(state: str = State.QUEUED, **columns: Any) -> Account:
    made: dict[str, Any] = {"password": NOTHING if state in Account.FINAL else Sealed.of("secret")}
    made |= {"account_id": "123"} if state == State.CREATED else {}
    made |= {"submission": uuid.uuid4(), "username": uuid.uuid4().hex, "organization_name": "Acme", "state": state}
    account = Account.objects.create(**made | columns)
    account.refresh_from_db()
    return account


def read_again(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


MOVES = [
    ("held", "queued"),
    ("held", "closed"),
    ("queued", "sending"),
    ("queued", "created"),
    ("queued", "closed"),
    ("sending", "created"),
    ("sending", "rejected"),
    ("sending", "queued"),
    ("sending", "unconfirmed"),
    ("unconfirmed", "created"),
    ("unconfirmed", "queued"),
    ("unconfirmed", "rejected"),
    ("unconfirmed", "closed"),
    ("rejected", "queued"),
    ("rejected", "held"),
    ("rejected", "closed"),
]


@pytest.mark.parametrize("origin", State.values)
@pytest.mark.parametrize("to", State.values)
def test_an_account_moves_only_as_the_table_of_moves_allows(origin: str, to: str) -> None:
    account = an_account(origin)
    changes: dict[str, Any] = {"account_id": "123"} if to == State.CREATED else {}
    if (origin, to) in MOVES:
        account.move(State(to), **changes)
        assert read_again(account).state == to
    else:
        with pytest.raises(IllegalMove):
            account.move(State(to), **changes)
        assert read_again(account).state == origin


def test_a_final_state_wipes_the_password_and_is_never_due() -> None:
    created, closed = an_account("sending"), an_account("rejected")
    created.move(State.CREATED, account_id="123")
    closed.move(State.CLOSED)
    for account in (read_again(created), read_again(closed)):
        assert not account.password
        assert account.due_at is None
    assert read_again(created).created_at
    assert not read_again(closed).created_at


def test_any_other_state_keeps_the_password() -> None:
    account = an_account("sending")
    account.move(State.UNCONFIRMED)
    assert read_again(account).password.open() == "secret"


def test_a_move_fails_if_someone_else_moved_first() -> None:
    account = an_account("rejected")
    read_again(account).move(State.QUEUED)
    with pytest.raises(MovedMeanwhile):
        account.move(State.CLOSED)
    assert read_again(account).state == State.QUEUED


def test_a_worker_that_lost_its_claim_can_change_nothing() -> None:
    account = an_account("sending", claim=uuid.uuid4())
    read_again(account).reschedule(due_in=timedelta(minutes=1), claim=uuid.uuid4())
    with pytest.raises(MovedMeanwhile):
        account.move(State.CREATED, account_id="123")
    with pytest.raises(MovedMeanwhile):
        account.reschedule(due_in=None)
    assert read_again(account).state == State.SENDING


def test_rescheduling_keeps_the_state_and_by_default_the_claim() -> None:
    account = an_account("unconfirmed", claim=uuid.uuid4())
    account.reschedule(due_in=timedelta(hours=1))
    again = read_again(account)
    assert (again.state, again.claim, again.state_changed_at) == (
        account.state,
        account.claim,
        account.state_changed_at,
    )
    assert Account.objects.filter(due_at__gt=Now() + timedelta(minutes=59)).exists()


def test_only_due_accounts_are_returned_longest_overdue_first() -> None:
    for minutes in (-1, -3, 2, None):
        an_account(
            organization_name=str(minutes), due_at=None if minutes is None else Now() + timedelta(minutes=minutes)
        )
    assert [account.organization_name for account in Account.objects.all().due()] == ["-3", "-1"]


def test_held_and_lost_accounts_wait_for_staff() -> None:
    an_account("held", organization_name="held")
    an_account("unconfirmed", organization_name="given up", due_at=None)
    an_account("unconfirmed", organization_name="an hour", due_at=Now(), state_changed_at=Now() - timedelta(minutes=61))
    an_account("unconfirmed", organization_name="a day", due_at=Now(), submitted_at=Now() - timedelta(hours=25))
    an_account("queued", organization_name="queued", due_at=Now())
    an_account("queued", organization_name="stuck", due_at=None)
    waiting = Account.objects.all().waiting_for_staff()
    assert {account.organization_name for account in waiting} == {"held", "given up", "an hour", "stuck"}


@pytest.mark.parametrize(
    ("broken", "columns"),
    [
        ("created without an account id", {"state": "created", "account_id": "", "password": NOTHING}),
        ("an account id without being created", {"state": "queued", "account_id": "123"}),
        ("created with a password kept", {"state": "created", "password": Sealed("x")}),
        ("closed with a password kept", {"state": "closed", "password": Sealed("x")}),
    ],
)
def test_the_database_refuses_invalid_rows(broken: str, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        an_account(**columns)


def test_a_username_belongs_to_one_open_account_whatever_its_case() -> None:
    an_account("closed", username="anna")
    an_account("created", username="anna")
    with pytest.raises(IntegrityError), transaction.atomic():
        an_account("queued", username="ANNA")
    assert Account.objects.all().not_closed().count() == 1


def test_a_form_is_stored_once() -> None:
    first = an_account()
    with pytest.raises(IntegrityError), transaction.atomic():
        an_account(submission=first.submission)


def test_evidence_is_completed_once() -> None:
    attempt = Attempt.objects.create(account=an_account(), kind=Attempt.Kind.CREATE)
    attempt.complete(outcome=Attempt.Outcome.CREATED, status=201)
    attempt.complete(outcome=Attempt.Outcome.UNKNOWN, status=500)
    attempt.refresh_from_db()
    assert (attempt.outcome, attempt.status) == ("created", 201)
    assert attempt.ended_at


def test_there_is_one_gateway() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Gateway.objects.create(pk=2)


def test_str_of_rows_shows_no_secrets() -> None:
    account = an_account(username="anna")
    assert str(account) == "Acme (anna)"
    assert str(Attempt(account=account, kind="create")) == "Create the account: …"
    assert str(Attempt(account=account, kind="look_up", outcome="found")).endswith("Found in your account list")
    assert str(Worker(name="host:1")) == "host:1"
    assert str(Gateway()) == "Sending to Constant Contact"
