"""Lost keys and database outages cost no account and block no other."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import InterfaceError, InternalError, OperationalError
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import Answer, Meaning
from provisioning.services import workers
from provisioning.services.settlement import settle
from tests.provisioning.services.workers.conftest import HOUR, Outcome, Script, claimed
from tests.provisioning.work import State, again, pass_time, sign_up

pytestmark = pytest.mark.django_db


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
