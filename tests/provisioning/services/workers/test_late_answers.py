"""An answer after the end of the lease is evidence, and the ID of a created account is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from provisioning import services
from provisioning.constant_contact import Answer, Meaning
from provisioning.models import Account
from provisioning.sealed import NOTHING
from tests.provisioning.services.workers.conftest import HOUR, Outcome, Script, claimed
from tests.provisioning.work import State, account_in, again, pass_time, sign_up

pytestmark = pytest.mark.django_db

OUTCOMES = {
    Meaning.CREATED: Outcome.CREATED,
    Meaning.REFUSED: Outcome.REFUSED,
    Meaning.TAKEN: Outcome.TAKEN,
    Meaning.UNSENT: Outcome.UNSENT,
    Meaning.RETRY: Outcome.NOT_DONE,
    Meaning.NOTHING_CREATED: Outcome.UNUSABLE,
    Meaning.OVER_RATE: Outcome.NOT_DONE,
    Meaning.OVER_QUOTA: Outcome.NOT_DONE,
    Meaning.STOP: Outcome.NOT_DONE,
    Meaning.UNKNOWN: Outcome.UNKNOWN,
}


def lose_the_lease() -> None:
    pass_time(HOUR)
    services.expire()


@pytest.mark.parametrize("meaning", OUTCOMES.keys() - {Meaning.CREATED})
def test_an_answer_after_the_lease_is_evidence_but_moves_nothing(meaning: Meaning, provider_answers: Script) -> None:
    account = sign_up()
    provider_answers(Answer(meaning=meaning), lose_the_lease)
    services.provision(claimed())

    account = again(account)
    assert (account.state, account.account_id, bool(account.password)) == (State.UNCONFIRMED, "", True)
    assert account.attempts.get().outcome == OUTCOMES[meaning]


def send_again() -> None:
    """Let another worker take the account over and have its own call in flight."""
    lose_the_lease()
    account = Account.objects.get()
    account.move(State.QUEUED, due_in=timedelta())
    pass_time()
    claimed()


def queue_again() -> None:
    lose_the_lease()
    Account.objects.get().move(State.QUEUED, due_in=timedelta())


@pytest.mark.parametrize("meanwhile", [lose_the_lease, queue_again, send_again])
def test_a_created_account_is_stored_however_late_the_answer(
    meanwhile: Callable[[], None], provider_answers: Script
) -> None:
    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7", oauth2_token="canary-token"), meanwhile)
    services.provision(claimed())

    account = again(account)
    assert (account.state, account.account_id, bool(account.password)) == (State.CREATED, "7", False)
    assert account.oauth2_token.open() == "canary-token"


def test_a_created_account_is_not_attached_to_a_closed_sign_up(
    provider_answers: Script, caplog: pytest.LogCaptureFixture
) -> None:
    def close() -> None:
        Account.objects.update(state=State.CLOSED, password=NOTHING)

    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"), close)
    services.provision(claimed())

    assert again(account).state == State.CLOSED
    assert f"account exists, but is closed here reference={account.reference}" in caplog.messages


@pytest.mark.parametrize(("erased", "token"), [(False, "canary-token"), (True, "")])
def test_an_account_that_was_found_in_the_list_takes_its_token_from_the_late_answer(
    erased: bool, token: str, provider_answers: Script
) -> None:
    def find() -> None:
        lose_the_lease()
        Account.objects.get().move(State.CREATED, account_id="7", settled_by="list")
        if erased:
            services.erase(Account.objects.get())

    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7", oauth2_token="canary-token"), find)
    services.provision(claimed())
    assert again(account).oauth2_token.open() == token


def test_the_evidence_of_a_late_answer_with_the_id_of_another_account_is_kept(provider_answers: Script) -> None:
    account_in(State.CREATED, username="berta", account_id="7")
    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"), lose_the_lease)
    services.provision(claimed())

    assert again(account).state == State.UNCONFIRMED
    assert again(account).attempts.get().outcome == Outcome.CREATED


def test_an_answer_with_another_accounts_id_goes_to_staff(provider_answers: Script) -> None:
    account_in(State.CREATED, username="berta", account_id="7")
    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"))
    services.provision(claimed())

    assert (again(account).state, again(account).due_at) == (State.UNCONFIRMED, None)
    assert account in Account.objects.waiting_for_staff()


def test_its_evidence_is_kept_even_if_another_worker_takes_over_just_then(
    provider_answers: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_in(State.CREATED, username="berta", account_id="7")
    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"))
    move = Account.move

    def move_late(account: Account, to: State, **values: Any) -> None:
        if to == State.UNCONFIRMED:
            monkeypatch.setattr(Account, "move", move)
            lose_the_lease()
        move(account, to, **values)

    monkeypatch.setattr(Account, "move", move_late)
    services.provision(claimed())

    assert account.attempts.get().outcome == Outcome.CREATED
    assert again(account).state == State.UNCONFIRMED


def test_a_late_answer_with_the_id_of_another_account_is_kept_as_evidence(
    provider_answers: Script, caplog: pytest.LogCaptureFixture
) -> None:
    account_in(State.CREATED, username="berta", account_id="7")
    account = sign_up()
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"), lose_the_lease)
    services.provision(claimed())

    assert again(account).state == State.UNCONFIRMED
    assert account.attempts.get().outcome == Outcome.CREATED
    assert f"account exists, but is unconfirmed here reference={account.reference}" in caplog.messages
