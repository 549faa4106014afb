"""`manage.py erase`: by a reference or an email address, with the reason for each account that it leaves."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from provisioning import services
from provisioning.models import Account, MovedMeanwhile
from tests.provisioning.admin.conftest import Make, State, make

__all__ = ["make"]


def test_it_covers_accounts_that_a_dead_worker_left(make: Make) -> None:
    account = make(State.SENDING, due_at=timezone.now() - timedelta(days=1))

    call_command("erase", str(account.reference))

    assert Account.objects.get().erased_at


def test_an_email_address_names_all_its_accounts(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        make(State.CREATED, email="zora@example.com")
    other = make(State.CREATED)
    call_command("erase", "Zora@example.com")
    assert capsys.readouterr().out.count("Erased ") == 2
    assert Account.objects.get(erased_at=None) == other


def test_a_reference_names_one_account(make: Make) -> None:
    account, other = make(State.CREATED), make(State.CREATED)
    call_command("erase", str(account.reference))
    assert Account.objects.get(erased_at=None) == other


def test_an_account_that_does_not_exist_is_reported(db: None) -> None:
    with pytest.raises(CommandError, match="No account has the reference or email address"):
        call_command("erase", "nobody@example.com")


def test_each_account_that_cannot_be_erased_is_reported_with_its_reason(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, erased, free, raced = make(State.SENDING), make(State.CREATED), make(State.CREATED), make(State.CREATED)
    services.erase(erased)
    Account.objects.filter(pk=erased.pk).update(email="ana@example.com")
    erase = services.erase

    def lose_a_race(account: Account) -> None:
        if account.pk == raced.pk:
            raise MovedMeanwhile
        erase(account)

    monkeypatch.setattr(services, "erase", lose_a_race)

    with pytest.raises(CommandError) as reported:
        call_command("erase", "ana@example.com")

    assert set(str(reported.value).splitlines()) == {
        f"{raced.reference} was not erased. It has just changed. Try again.",
        f"{erased.reference} was not erased. It is already erased.",
        f"{sending.reference} was not erased. It is being sent. Try again in a minute.",
    }
    assert capsys.readouterr().out == f"Erased {free.reference}.\n"
