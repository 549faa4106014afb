"""Workers claim due accounts, one lease at a time, and send what belongs to them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import close_old_connections, connections
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.models import Account, Attempt, Gateway
from provisioning.sandbox import Server
from provisioning.sandbox.messages import Request
from provisioning.sandbox.provider import Reply
from provisioning.services import claims, workers
from tests.provisioning.services.workers.conftest import HOUR, LEASE, Kind, claimed
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, account_in, again, at_once, now, sign_up, work

pytestmark = pytest.mark.django_db


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


def test_the_brands_billing_currency_overrides_the_settings(settings: Settings, sandbox: Server) -> None:
    settings.CONSTANT_CONTACT_BILLING_LOCALE = "en_GB"
    services.submit(services.prepare(SIGN_UP, uuid.uuid4(), billing_locale="en_US"))
    work()

    assert sandbox.provider.accounts[NAME].properties["billing_locale"] == "en_US"


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


def test_repr_of_a_claim_shows_no_password() -> None:
    sign_up()
    assert SIGN_UP["password"] not in repr(claimed())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("missed", [False, True])
def test_no_database_connection_is_held_during_a_call(
    missed: bool, sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "close_old_connections", close_old_connections)
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 0)  # As in a worker.
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
