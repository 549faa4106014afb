"""What is stored from an answer, and how long an account waits after it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries, Settings

from provisioning import services
from provisioning.constant_contact import Answer, Meaning, Problem
from provisioning.mirror import passes
from provisioning.models import Account, Attempt, ListPass
from provisioning.services.look_ups import settle_complete_pass
from provisioning.services.settlement import CORRECTION_TIME, MAX_UNANSWERED, grace, settle
from tests.provisioning.work import State, account_in, again, now, pass_time

pytestmark = pytest.mark.django_db
Kind, Outcome = Attempt.Kind, Attempt.Outcome
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def settled(answer: Answer, account: Account | None = None) -> Account:
    account = account or account_in(State.SENDING)
    settle(account, Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username), answer)
    return again(account)


def missing(account: Account) -> Account:
    """Return the account after a complete pass over the list that does not show it."""
    pass_time()
    ListPass.objects.create(outcome=ListPass.Outcome.COMPLETE, source=passes.source(), ended_at=Now())
    settle_complete_pass()
    return again(account)


def waits(account: Account) -> timedelta:
    assert account.due_at is not None
    return account.due_at - now()


def about(time: timedelta) -> object:
    return pytest.approx(time, abs=10 * SECOND)


# Evidence


def test_an_answer_is_stored_for_staff_as_received() -> None:
    problems = (
        Problem("json.email.invalid", "#/email: Not valid.", "email"),
        Problem("json.value.invalid", "#/single_billing: No.", "single_billing"),
    )
    answer = Answer(meaning=Meaning.REFUSED, status=400, duration=SECOND, problems=problems, body="[…]")
    attempt = settled(answer).attempts.get()

    assert (attempt.status, attempt.duration, attempt.answer) == (400, SECOND, "[…]")
    assert (attempt.error_key, attempt.error_message) == ("json.email.invalid", "#/email: Not valid.")
    assert attempt.refused == {"email": "#/email: Not valid."}
    assert attempt.refused_keys == {"email": "json.email.invalid"}
    assert attempt.reasons() == {"email": "Not valid."}
    assert attempt.message == "Not valid."
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at


def test_a_long_error_key_is_cut_to_fit() -> None:
    attempt = settled(Answer(meaning=Meaning.REFUSED, problems=(Problem("k" * 1000, "m" * 1000),))).attempts.get()
    assert (attempt.error_key, attempt.error_message) == ("k" * 255, "m" * 1000)


@pytest.mark.parametrize(("country", "refused"), [("US", {"state_code": "No."}), ("FR", {})])
def test_a_customer_outside_us_and_canada_is_not_asked_for_a_state(country: str, refused: dict[str, str]) -> None:
    answer = Answer(meaning=Meaning.REFUSED, status=400, problems=(Problem("k", "No.", "state_code"),))
    account = settled(answer, account_in(State.SENDING, country_code=country, state_code=""))
    assert account.state == State.REJECTED
    assert services.refused(account) == refused


def test_a_taken_username_is_reported_as_a_refused_username() -> None:
    account = settled(Answer(meaning=Meaning.TAKEN, status=409, problems=(Problem("conflict", "In use."),)))
    assert account.attempts.get().refused == {"username": "In use."}


def test_a_success_wipes_the_password_and_seals_the_token() -> None:
    account = settled(Answer(meaning=Meaning.CREATED, account_id="7", oauth2_token="canary"))
    assert (account.state, account.account_id, account.due_at) == (State.CREATED, "7", None)
    assert not account.password
    assert account.oauth2_token.open() == "canary"
    assert account.created_at is not None


# How long it waits


@pytest.mark.parametrize("meaning", [Meaning.REFUSED, Meaning.TAKEN])
def test_a_customer_has_a_week_for_a_correction(meaning: Meaning) -> None:
    assert timedelta(days=7) == CORRECTION_TIME
    assert waits(settled(Answer(meaning=meaning))) == about(CORRECTION_TIME)


@pytest.mark.parametrize("meaning", [Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP])
def test_an_account_stopped_by_the_gateway_is_due_at_once(meaning: Meaning) -> None:
    assert waits(settled(Answer(meaning=meaning))) <= timedelta()


@pytest.mark.parametrize("meaning", [Meaning.UNSENT, Meaning.RETRY, Meaning.NOTHING_CREATED])
def test_an_account_that_was_not_created_is_retried_later(meaning: Meaning) -> None:
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


def test_unsent_accounts_are_not_all_retried_at_once() -> None:
    sent = [account_in(State.SENDING, username=f"anna{number}") for number in range(10)]
    waiting = sorted(waits(settled(Answer(meaning=Meaning.UNSENT), account)) for account in sent)
    assert waiting[-1] - waiting[0] > timedelta(seconds=0.1)


def test_the_grace_period_grows_with_each_failed_look_up(settings: Settings) -> None:
    settings.PROVISION_RECHECK = 30.0
    account = settled(Answer(meaning=Meaning.UNKNOWN))
    assert waits(account) == about(30 * SECOND)
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        Attempt.objects.create(account=account, kind=Kind.LOOK_UP, username=account.username.upper())
        assert grace(account) == minutes * MINUTE


def test_the_providers_retry_after_is_respected() -> None:
    for meaning in (Meaning.UNKNOWN, Meaning.UNSENT):
        account = account_in(State.SENDING, username=f"anna-{meaning}")
        assert waits(settled(Answer(meaning=meaning, retry_after=10 * MINUTE), account)) == about(10 * MINUTE)


def test_the_grace_period_has_a_maximum(settings: Settings) -> None:
    settings.PROVISION_RECHECK = 30.0
    account = account_in(State.UNCONFIRMED)
    name = account.username
    Attempt.objects.bulk_create([Attempt(account=account, kind=Kind.LOOK_UP, username=name) for _ in range(2000)])
    assert grace(account) == timedelta(hours=1)


def test_an_absent_account_is_sent_again_at_once() -> None:
    account = missing(account_in(State.UNCONFIRMED))
    assert account.state == State.QUEUED
    assert waits(account) <= timedelta()


@pytest.mark.parametrize("unanswered", [MAX_UNANSWERED - 1, MAX_UNANSWERED])
def test_staff_are_asked_after_five_calls_without_an_answer(unanswered: int) -> None:
    account = account_in(State.UNCONFIRMED)
    for number in range(unanswered):
        outcome = Outcome.UNKNOWN if number else ""
        Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, outcome=outcome)
    account = missing(account)

    asked = unanswered >= 5
    assert account.state == (State.UNCONFIRMED if asked else State.QUEUED)
    assert (account.due_at is None) == asked


def test_settling_after_a_complete_pass_delays_no_new_sign_up(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """An outage leaves thousands of accounts, which a worker settles between two checks of its queue."""
    for number in range(30):
        account_in(State.UNCONFIRMED, username=f"anna-{number}")
    pass_time()
    ListPass.objects.create(outcome=ListPass.Outcome.COMPLETE, source=passes.source(), ended_at=Now(), due_at=None)
    with django_assert_max_num_queries(150):
        settle_complete_pass()
    for _ in range(2):
        settle_complete_pass()
    assert Account.objects.filter(state=State.QUEUED).count() == 30


def test_staff_are_asked_about_accounts_unconfirmed_for_an_hour() -> None:
    account_in(State.UNCONFIRMED)
    old = account_in(State.UNCONFIRMED, username="berta")
    Account.objects.filter(pk=old.pk).update(state_changed_at=Now() - timedelta(minutes=61))
    assert list(Account.objects.waiting_for_staff()) == [old]


def test_staff_are_asked_after_five_unusable_answers() -> None:
    account = account_in(State.SENDING)
    for tries in range(1, MAX_UNANSWERED + 1):
        account = settled(Answer(meaning=Meaning.NOTHING_CREATED, status=404), account)
        assert account.state == State.QUEUED
        assert (account.due_at is None) == (tries == MAX_UNANSWERED)
        Account.objects.update(state=State.SENDING)
        account = again(account)
    assert [attempt.outcome for attempt in account.attempts.all()] == [Outcome.UNUSABLE] * MAX_UNANSWERED


@pytest.mark.parametrize(("before", "seconds"), [(["not_done"] * 4, 16), (["not_done"] * 8 + ["refused"], 1)])
def test_failures_delay_the_next_call_until_one_is_answered(before: list[str], seconds: int) -> None:
    account = account_in(State.SENDING)
    for outcome in before:
        Attempt.objects.create(account=account, kind=Kind.CREATE, username=account.username, outcome=outcome)
    account = settled(Answer(meaning=Meaning.RETRY, status=503), account)

    assert account.due_at is not None
    assert timedelta(seconds=seconds) < account.due_at - account.state_changed_at <= timedelta(seconds=2 * seconds + 1)


def test_every_unclear_answer_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    account = settled(Answer(meaning=Meaning.UNKNOWN, status=502))
    assert f"unclear answer reference={account.reference} status=502" in caplog.messages
