"""What workers do: claim, call and settle, also when they are delayed, die, or lose a race."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import InterfaceError, InternalError, OperationalError, close_old_connections, connections
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import Answer, Meaning
from provisioning.models import Account, Attempt, Gateway, MovedMeanwhile, Worker
from provisioning.sandbox import Server
from provisioning.sandbox.messages import Request
from provisioning.sandbox.provider import Reply
from provisioning.sealed import NOTHING
from provisioning.services import claims, workers
from provisioning.services.settlement import settle
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, account_in, again, at_once, now, pass_time, sign_up, work

pytestmark = pytest.mark.django_db
Kind, Outcome = Attempt.Kind, Attempt.Outcome
LEASE = timedelta(seconds=60)
HOUR = timedelta(hours=1)

Script = Callable[..., None]


@pytest.fixture
def provider_answers(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets the answer to every call, without a provider. `meanwhile` is called first."""

    def script(answer: Answer, meanwhile: Callable[[], Any] = lambda: None) -> None:
        def call(*_: Any) -> Answer:
            meanwhile()
            return answer

        monkeypatch.setattr(workers, "client", lambda: SimpleNamespace(create=call, list_accounts=call))

    return script


def claimed() -> services.AccountClaim:
    claim = services.claim_account()
    assert claim is not None
    return claim


# Claims


def test_the_longest_overdue_account_is_claimed_first() -> None:
    for name, minutes in (("anna", 1), ("berta", 3), ("clara", 2)):
        account_in(State.QUEUED, username=name, due_at=Now() - timedelta(minutes=minutes))

    assert [claimed().account.username for _ in range(3)] == ["berta", "clara", "anna"]
    assert services.claim_account() is None


def test_a_claim_records_evidence_before_the_call() -> None:
    account = sign_up()
    claim = claimed()
    seen, attempt = claim.account, claim.attempt

    account = again(account)
    assert (account.state, account.claim) == (State.SENDING, seen.claim)
    assert account.claim is not None
    written = account.attempts.get()
    assert (written, written.kind, written.username) == (attempt, Kind.CREATE, NAME)
    assert (written.outcome, written.ended_at) == ("", None)
    assert gateway.state().calls == 1


def test_a_lease_runs_by_the_databases_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    account = sign_up()
    truth = now()
    monkeypatch.setattr(timezone, "now", lambda: truth - timedelta(days=1))
    claimed()

    due_at = again(account).due_at
    assert due_at is not None
    assert LEASE - timedelta(seconds=1) < due_at - truth < LEASE + timedelta(minutes=1)


@pytest.mark.parametrize("state", [state for state in State if state != State.QUEUED])
def test_only_queued_accounts_are_claimed(state: State) -> None:
    account_in(state)
    assert services.claim_account() is None


def test_an_account_that_is_not_due_is_not_claimed() -> None:
    account_in(State.QUEUED, due_at=Now() + HOUR)
    assert services.claim_account() is None


def test_with_nothing_due_the_gateway_is_not_used() -> None:
    services.claim_account()
    assert not Gateway.objects.exists()


def test_nothing_is_claimed_while_the_gateway_is_stopped() -> None:
    account = account_in(State.QUEUED)
    gateway.stop("for a test")

    with pytest.raises(gateway.CallNotPermitted):
        services.claim_account()

    now = again(account)
    assert (now.state, now.claim, now.due_at) == (account.state, account.claim, account.due_at)
    assert not Attempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_no_two_workers_claim_the_same_account() -> None:
    for number in range(24):
        sign_up(username=f"anna{number}")

    def claim_all(_: int) -> list[int]:
        claims = iter(services.claim_account, None)
        return [claim.account.pk for claim in claims]

    taken = [pk for each in at_once(6, claim_all) for pk in each]

    assert sorted(taken) == sorted(Account.objects.values_list("pk", flat=True))
    assert Attempt.objects.count() == 24


# What is sent


def test_the_customers_and_the_partners_properties_are_sent(settings: Settings, sandbox: Server) -> None:
    settings.CONSTANT_CONTACT_BILLING_LOCALE = "en_GB"
    settings.CONSTANT_CONTACT_SINGLE_BILLING = True
    settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID = True
    account = sign_up(website="https://bakery.example.com", gdpr_opt_out=True)
    work()

    entered = {name: value for name, value in SIGN_UP.items() if name != "password"}
    assert sandbox.provider.accounts[NAME].properties == entered | {
        "website": "https://bakery.example.com",
        "gdpr_opt_out": True,
        "billing_locale": "en_GB",
        "single_billing": True,
        "managed_site_owner": True,
        "partner_account_id": str(account.reference),
    }


def test_the_partners_properties_are_recorded_as_sent(settings: Settings, sandbox: Server) -> None:
    settings.CONSTANT_CONTACT_SINGLE_BILLING = True
    settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID = True
    account = sign_up()
    work()
    settings.CONSTANT_CONTACT_SINGLE_BILLING = False

    sent = again(account).attempts.get().sent

    assert sent == {"single_billing": True, "managed_site_owner": True, "partner_account_id": str(account.reference)}
    assert sent.items() <= sandbox.provider.accounts[NAME].properties.items()


def test_the_record_is_right_even_if_settings_change_before_the_call(settings: Settings, sandbox: Server) -> None:
    sign_up()
    claim = claimed()
    settings.CONSTANT_CONTACT_SINGLE_BILLING = True
    services.provision(claim)

    assert "single_billing" not in sandbox.provider.accounts[NAME].properties


def test_empty_properties_are_not_sent(sandbox: Server) -> None:
    sign_up()
    work()
    assert sandbox.provider.accounts[NAME].properties.keys() == SIGN_UP.keys() - {"password"}


def test_a_requested_token_is_stored_sealed(settings: Settings, sandbox: Server) -> None:
    settings.CONSTANT_CONTACT_OAUTH2_TOKEN = True
    account = sign_up()
    work()

    assert again(account).oauth2_token.open().startswith("sandbox-")
    assert again(account).oauth2_token.open() not in again(account).attempts.get().answer


def test_no_token_is_stored_unless_requested(sandbox: Server) -> None:
    account = sign_up()
    work()
    assert not again(account).oauth2_token


def test_a_thread_keeps_its_client_until_the_settings_change(settings: Settings) -> None:
    first = workers.client()
    assert workers.client() is first
    assert at_once(1, lambda _: workers.client()) != [first]
    settings.CONSTANT_CONTACT_PASSWORD = "another"
    assert workers.client() is not first


# Delayed workers


def held_up() -> services.AccountClaim:
    """Return a claim whose permit has expired."""
    claim = claimed()
    claim.permit = gateway.Permit(0, 0)
    return claim


def test_an_expired_permit_is_replaced_and_the_lease_renewed(
    sandbox: Server,
) -> None:
    account = sign_up()
    claim = held_up()
    services.provision(claim)

    assert again(account).state == State.CREATED
    assert gateway.state().calls == 2
    assert len(sandbox.provider.calls) == 1


def test_the_lease_of_a_delayed_worker_is_restarted() -> None:
    account = sign_up()
    claim = held_up()
    pass_time(LEASE - timedelta(seconds=10))
    claim.start()

    due_at = again(account).due_at
    assert due_at is not None
    assert due_at - now() > LEASE - timedelta(seconds=10)


def test_a_worker_delayed_beyond_its_lease_sends_nothing(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A worker was suspended, as on a closed laptop. Others may have looked up and sent the account meanwhile."""
    account = sign_up()
    claim = held_up()
    pass_time(HOUR)
    services.expire()
    services.provision(claim)

    assert not sandbox.provider.calls
    assert again(account).state == State.UNCONFIRMED
    assert again(account).attempts.get().outcome == Outcome.NOT_DONE
    assert f"late answer reference={account.reference} meaning=retry" in caplog.messages


def test_a_worker_delayed_until_the_gateway_stopped_sends_nothing(sandbox: Server) -> None:
    account = sign_up()
    claim = held_up()
    gateway.stop("for a test")
    services.provision(claim)

    assert not sandbox.provider.calls
    assert again(account).state == State.QUEUED


def test_a_delayed_worker_waits_for_a_short_pause_but_not_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        pass_time(timedelta(seconds=seconds))

    monkeypatch.setattr(time, "sleep", sleep)
    sign_up()
    claim = claimed()
    for pause in (timedelta(seconds=10), timedelta(seconds=20)):
        claim.permit = gateway.Permit(0, 0)
        Gateway.objects.update(paused_until=now() + pause)
        claim.start()  # After too short a sleep, it would sleep again.
        assert timedelta(seconds=slept[-1]) <= pause
    claim.permit = gateway.Permit(0, 0)
    Gateway.objects.update(paused_until=now() + HOUR)
    with pytest.raises(gateway.CallNotPermitted):
        claim.start()
    assert len(slept) == 2


def test_a_machine_too_busy_to_use_a_permit_postpones_the_call(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "LATE", -1.0)
    account = sign_up()
    services.provision(claimed())

    account = again(account)
    assert not sandbox.provider.calls
    assert account.state == State.QUEUED
    assert account.due_at is not None
    assert account.due_at > now()
    assert gateway.state().calls == 1 + claims.MAX_PERMITS


# Lost races

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


# Accounts that cannot be sent


def test_an_account_that_cannot_be_unsealed_uses_no_permit_and_does_not_loop(settings: Settings) -> None:
    account = sign_up()
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    assert services.claim_account() is None
    assert services.claim_account() is None

    assert gateway.state().calls == 0
    attempt = again(account).attempts.get()
    assert (attempt.outcome, "SEALING_KEYS" in attempt.error_message) == (Outcome.NOT_DONE, True)
    pass_time(HOUR)
    services.claim_account()
    assert again(account).attempts.count() == 1


def test_an_account_that_cannot_be_unsealed_does_not_block_others(settings: Settings) -> None:
    sign_up()
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    other = sign_up(username="berta")
    assert claimed().account == other


def test_repr_of_a_claim_shows_no_password() -> None:
    sign_up()
    assert SIGN_UP["password"] not in repr(claimed())


# Database outages


def failing(monkeypatch: pytest.MonkeyPatch, *failures: type[Exception]) -> None:
    """Make the next attempts to store an answer fail with these exceptions."""
    true, coming = settle, iter(failures)

    def fail(*args: Any) -> None:
        if failure := next(coming, None):
            raise failure
        true(*args)

    monkeypatch.setattr(workers, "settle", fail)


@pytest.mark.django_db(transaction=True)
def test_answers_are_written_once_the_database_is_back(
    provider_answers: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sign_up()
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    failing(monkeypatch, OperationalError, InterfaceError)
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"))
    services.provision(claimed())

    assert again(account).account_id == "7"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_ending", [False, True])
def test_only_an_ending_process_gives_up_on_an_unreachable_database(
    is_ending: bool, settings: Settings, provider_answers: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PROVISION_LEASE = -1.0
    monkeypatch.setattr(workers, "LAST_TRIES", -1.0)
    monkeypatch.setattr(workers, "ending", SimpleNamespace(is_set=lambda: is_ending))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    account = sign_up()
    failing(monkeypatch, OperationalError, InternalError)
    provider_answers(Answer(meaning=Meaning.CREATED, account_id="7"))

    if not is_ending:
        services.provision(claimed())
        assert again(account).state == State.CREATED
        return
    with pytest.raises(OperationalError):
        services.provision(claimed())

    services.expire()
    assert again(account).state == State.UNCONFIRMED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("missed", [False, True])
def test_no_database_connection_is_held_during_a_call(
    missed: bool, sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "close_old_connections", close_old_connections)
    held: list[object] = []
    account = sign_up()
    claim = claimed()
    if missed:
        claim.permit = gateway.Permit(0, 0)

    def provision(_: int) -> None:
        mine, reply = connections["default"], sandbox.provider.reply

        def look(request: Request) -> Reply:
            held.append(mine.connection)
            return reply(request)

        monkeypatch.setattr(sandbox.provider, "reply", look)
        services.provision(claim)

    at_once(1, provision)

    assert again(account).state == State.CREATED
    assert held == [None]


# Expiry


def test_an_account_left_by_a_dead_worker_becomes_unconfirmed() -> None:
    account = account_in(State.SENDING)
    services.expire()

    assert again(account).state == State.UNCONFIRMED
    assert again(account).claim not in (None, account.claim)
    assert again(account).password.open() == SIGN_UP["password"]


def test_an_account_never_corrected_is_closed_and_its_password_wiped() -> None:
    account = account_in(State.REJECTED)
    services.expire()

    assert (again(account).state, again(account).password) == (State.CLOSED, NOTHING)


@pytest.mark.parametrize("state", [state for state in State if state not in (State.SENDING, State.REJECTED)])
def test_nothing_else_expires(state: State) -> None:
    account = account_in(state)
    services.expire()
    assert again(account).state == state


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.UNCONFIRMED])
@pytest.mark.parametrize(
    "columns",
    [
        {"due_at": Now() + timedelta(days=300)},
        {"due_at": Now() + timedelta(hours=3), "state_changed_at": Now() + timedelta(hours=3)},
    ],
)
def test_a_clock_that_was_set_back_keeps_no_account_waiting(
    state: State, columns: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    account = account_in(state, **columns)
    services.expire()
    assert "clock went back" in caplog.text
    pass_time(timedelta(minutes=2))
    assert account in Account.objects.due()


def test_a_wait_that_the_provider_asked_for_is_kept() -> None:
    account = account_in(State.QUEUED, due_at=Now() + timedelta(hours=23))
    services.expire()
    assert again(account).due_at == account.due_at


@pytest.mark.parametrize("state", [State.SENDING, State.REJECTED])
def test_nothing_expires_before_its_time(state: State) -> None:
    account = account_in(state, due_at=Now() + timedelta(minutes=1))
    services.expire()
    assert again(account).state == state


def test_a_race_for_one_account_does_not_stop_others_from_expiring(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = account_in(State.SENDING), account_in(State.SENDING, username="berta")
    move = Account.move

    def lose_the_first(account: Account, *args: Any, **changes: Any) -> None:
        if account == first:
            raise MovedMeanwhile
        move(account, *args, **changes)

    monkeypatch.setattr(Account, "move", lose_the_first)
    services.expire()

    assert (again(first).state, again(second).state) == (State.SENDING, State.UNCONFIRMED)


# Heartbeats


def test_a_worker_reports_and_workers_long_unseen_are_deleted() -> None:
    services.report("one")
    Worker.objects.update(seen_at=Now() - timedelta(hours=25))
    services.report("two")
    services.report("two")

    assert [worker.name for worker in Worker.objects.all()] == ["two"]
    assert Worker.objects.get().seen_at >= Worker.objects.get().started_at

    services.sign_off("two")
    assert not Worker.objects.exists()


# The log


def test_every_move_is_logged_as_one_line_with_the_reference(sandbox: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    account = sign_up()
    sandbox.provider.fail_next("create", "reset-before")
    work()

    steps = [State.QUEUED, State.SENDING, State.UNCONFIRMED, State.QUEUED, State.SENDING, State.CREATED]
    assert [message for message in caplog.messages if message.startswith("account ")] == [
        f"account submitted reference={account.reference}",
        *(f"account moved reference={account.reference} from={old} to={new}" for old, new in pairwise(steps)),
    ]
