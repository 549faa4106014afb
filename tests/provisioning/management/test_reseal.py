"""Resealing: after a new key was added, all stored secrets are sealed with it, so the old key can be destroyed."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Account
from provisioning.sealed import CannotOpen, Sealed
from provisioning.services import keys
from tests.provisioning.work import State, account_in, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def three() -> None:
    account_in(State.QUEUED, password=Sealed.of("canary-password"))
    account_in(State.CREATED, username="anna-2", oauth2_token=Sealed.of("canary-token"))
    account_in(State.CLOSED)


def reseal() -> str:
    out = StringIO()
    call_command("reseal", stdout=out)
    return out.getvalue()


def secrets() -> list[tuple[str, str]]:
    return [(each.password.open(), each.oauth2_token.open()) for each in Account.objects.order_by("pk")]


def test_the_old_key_is_no_longer_needed(three: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "BATCH_SIZE", 1)
    kept, (old,) = secrets(), settings.SEALING_KEYS
    settings.SEALING_KEYS = [Fernet.generate_key().decode(), old]

    assert reseal() == "Sealed 2 secrets with the first of SEALING_KEYS.\n"

    settings.SEALING_KEYS = settings.SEALING_KEYS[:1]
    assert secrets() == kept == [("canary-password", ""), ("", "canary-token"), ("", "")]


def test_a_value_that_no_key_opens_is_left_and_reported(three: None, settings: Settings) -> None:
    (old,) = settings.SEALING_KEYS
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(CommandError, match="2 secrets can't be opened"):
        reseal()

    with pytest.raises(CannotOpen):
        secrets()
    settings.SEALING_KEYS = [old]
    assert secrets()


def test_a_concurrent_change_is_not_overwritten(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Sealed.of("another-password")

    def change(sealed: Sealed) -> Sealed:
        Account.objects.exclude(password=Sealed("")).update(password=new)
        return Sealed.of("stale")

    monkeypatch.setattr(Sealed, "resealed", change)
    reseal()

    assert Account.objects.get(state=State.QUEUED).password == new


def test_an_interrupted_run_is_continued(three: None, settings: Settings) -> None:
    assert reseal() == "Sealed 0 secrets with the first of SEALING_KEYS.\n"

    settings.SEALING_KEYS = [Fernet.generate_key().decode(), *settings.SEALING_KEYS]
    Account.objects.filter(state=State.QUEUED).update(password=Sealed.of("canary-password"))

    assert reseal() == "Sealed 1 secret with the first of SEALING_KEYS.\n"


def test_nothing_starts_with_keys_that_do_not_open_the_newest_secret(
    three: None, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    call_command("check_keys")
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(CommandError, match="No key in SEALING_KEYS opens the newest sealed secret"):
        call_command("check_keys")
    with pytest.raises(SystemExit):
        call_command("provision")
    assert "No key in SEALING_KEYS opens the newest sealed secret" in caplog.text


def test_secrets_whose_key_is_lost_for_good_can_be_given_up(three: None, settings: Settings) -> None:
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    account_in(State.QUEUED, username="anna-4", password=Sealed.of("canary-new"))
    out = StringIO()

    call_command("reseal", "--discard", stdout=out)

    assert out.getvalue().startswith("Discarded 2 secrets that no key opens.\n")
    states = dict(Account.objects.values_list("username", "state"))
    assert (states["anna-jones"], states["anna-4"]) == (State.CLOSED, State.QUEUED)
    call_command("check_keys")


def test_an_account_that_cannot_be_opened_spends_no_quota(three: None, settings: Settings) -> None:
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]

    assert work() == 0

    assert gateway.calls_today() == 0
