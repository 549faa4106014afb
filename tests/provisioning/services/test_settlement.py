"""What is written down of an answer, and how long an account waits after it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning import services
from provisioning.constant_contact import Answer, Entry, Meaning, Problem
from provisioning.models import Account, Attempt
from provisioning.services.settlement import CORRECTION_TIME, MOST_UNANSWERED, grace, settle, settle_look_up
from tests.provisioning.work import State, account_in, again, now

pytestmark = pytest.mark.django_db
Kind, Outcome = Attempt.Kind, Attempt.Outcome
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def settled(answer: Answer, account: Account | None = None) -> Account:
    account = account or account_in(State.SENDING)
    settle(account, Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username), answer)
    return again(account)


def looked_for(answer: Answer, account: Account) -> Account:
    attempt = Attempt.objects.create(account=account, kind=Kind.LOOK_UP, username=account.username)
    settle_look_up(account, attempt, answer)
    return again(account)


def waits(account: Account) -> timedelta:
    assert account.due_at is not None
    return account.due_at - now()


def about(time: timedelta) -> object:
    return pytest.approx(time, abs=10 * SECOND)


# Evidence


def test_an_answer_is_kept_for_staff_as_it_came() -> None:
    problems = (
        Problem("json.email.invalid", "#/email: Not valid.", "email"),
        Problem("json.value.invalid", "#/single_billing: No.", "single_billing"),
    )
    answer = Answer(meaning=Meaning.REFUSED, status=400, duration=SECOND, problems=problems, body="[…]")
    attempt = settled(answer).attempts.get()

    assert (attempt.status, attempt.duration, attempt.answer) == (400, SECOND, "[…]")
    assert (attempt.error_key, attempt.error_message) == ("json.email.invalid", "#/email: Not valid.")
    assert attempt.refused == {"email": "#/email: Not valid."}
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at


def test_an_error_key_of_any_length_fits() -> None:
    attempt = settled(Answer(meaning=Meaning.REFUSED, problems=(Problem("k" * 1000, "m" * 1000),))).attempts.get()
    assert (attempt.error_key, attempt.error_message) == ("k" * 255, "m" * 1000)


@pytest.mark.parametrize(("country", "refused"), [("US", {"state_code": "No."}), ("FR", {})])
def test_a_customer_abroad_is_not_asked_for_a_state(country: str, refused: dict[str, str]) -> None:
    answer = Answer(meaning=Meaning.REFUSED, status=400, problems=(Problem("k", "No.", "state_code"),))
    account = settled(answer, account_in(State.SENDING, country_code=country, state_code=""))
    assert account.state == State.REJECTED
    assert services.refused(account) == refused


def test_a_name_in_use_is_told_as_the_refusal_of_the_user_name() -> None:
    account = settled(Answer(meaning=Meaning.TAKEN, status=409, problems=(Problem("conflict", "In use."),)))
    assert account.attempts.get().refused == {"username": "In use."}


def test_a_success_wipes_the_password_and_seals_the_token() -> None:
    account = settled(Answer(meaning=Meaning.CREATED, account_id="7", oauth2_token="canary"))
    assert (account.state, account.account_id, account.due_at) == (State.CREATED, "7", None)
    assert not account.password
    assert account.oauth2_token.open() == "canary"
    assert account.created_at is not None


def test_what_is_found_is_created_without_a_token() -> None:
    listed = Answer(meaning=Meaning.LISTED, entries=(Entry("7", "Anna", "Anna's"),))
    account = looked_for(listed, account_in(State.UNCONFIRMED, username="anna"))
    assert (account.state, account.account_id) == (State.CREATED, "7")
    assert not account.oauth2_token
    assert not account.password


# How long it waits


@pytest.mark.parametrize("meaning", [Meaning.REFUSED, Meaning.TAKEN])
def test_a_customer_has_a_week_for_a_correction(meaning: Meaning) -> None:
    assert timedelta(days=7) == CORRECTION_TIME
    assert waits(settled(Answer(meaning=meaning))) == about(CORRECTION_TIME)


@pytest.mark.parametrize("meaning", [Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP])
def test_what_met_with_a_closed_gateway_is_due_at_once(meaning: Meaning) -> None:
    assert waits(settled(Answer(meaning=meaning))) <= timedelta()


@pytest.mark.parametrize("meaning", [Meaning.UNSENT, Meaning.NOTHING_CREATED])
def test_what_created_nothing_is_tried_again_later(meaning: Meaning) -> None:
    account = settled(Answer(meaning=meaning))
    assert account.state == State.QUEUED
    assert waits(account) > timedelta()


def test_an_unsent_account_is_retried_with_backoff_of_at_most_minutes() -> None:
    account = account_in(State.SENDING)
    for tries in range(1, 15):
        account = settled(Answer(meaning=Meaning.UNSENT), account)
        most = min(timedelta(seconds=2**tries), 5 * MINUTE)
        assert most / 2 - SECOND <= waits(account) <= most
        Account.objects.update(state=State.SENDING)
        account = again(account)
    assert most == 5 * MINUTE


def test_what_could_not_be_sent_does_not_come_back_all_at_once() -> None:
    sent = [account_in(State.SENDING, username=f"anna{number}") for number in range(10)]
    waiting = sorted(waits(settled(Answer(meaning=Meaning.UNSENT), account)) for account in sent)
    assert waiting[-1] - waiting[0] > timedelta(seconds=0.1)


def test_the_time_of_grace_grows_with_each_look_that_was_in_vain(settings: Settings) -> None:
    settings.PROVISION_RECHECK = 30.0
    account = settled(Answer(meaning=Meaning.UNKNOWN))
    assert waits(account) == about(30 * SECOND)
    for expected in (1, 2, 4, 8, 16, 32, 60, 60):
        account = looked_for(Answer(meaning=Meaning.UNKNOWN), account)
        assert account.state == State.UNCONFIRMED
        assert waits(account) == about(expected * MINUTE)


def test_the_time_of_grace_has_an_end_after_however_many_looks(settings: Settings) -> None:
    settings.PROVISION_RECHECK = 30.0
    account = account_in(State.UNCONFIRMED)
    Attempt.objects.bulk_create([Attempt(account=account, kind=Kind.LOOK_UP) for _ in range(2000)])
    assert grace(account) == timedelta(hours=1)


def test_what_is_absent_is_sent_again_at_once() -> None:
    account = looked_for(Answer(meaning=Meaning.LISTED), account_in(State.UNCONFIRMED, due_at=Now() + MINUTE))
    assert account.state == State.QUEUED
    assert waits(account) <= timedelta()


@pytest.mark.parametrize("unanswered", [MOST_UNANSWERED - 1, MOST_UNANSWERED])
def test_staff_are_asked_after_five_calls_without_an_answer(unanswered: int) -> None:
    account = account_in(State.UNCONFIRMED)
    for number in range(unanswered):
        outcome = Outcome.UNKNOWN if number else ""
        Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, outcome=outcome)
    account = looked_for(Answer(meaning=Meaning.LISTED), account)

    asked = unanswered >= 5
    assert account.state == (State.UNCONFIRMED if asked else State.QUEUED)
    assert (account.due_at is None) == asked


def test_staff_are_asked_about_what_nobody_could_confirm_for_a_day() -> None:
    account_in(State.UNCONFIRMED)
    old = account_in(State.UNCONFIRMED, username="berta")
    Account.objects.filter(pk=old.pk).update(submitted_at=Now() - timedelta(hours=25))
    assert list(Account.objects.waiting_for_staff()) == [old]
