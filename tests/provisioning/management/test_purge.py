"""`manage.py purge`: old accounts are erased, however many there are."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.provisioning.admin.conftest import Make, State, make

__all__ = ["make"]


def test_every_account_that_is_old_enough_is_erased(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.services.privacy.BATCH_SIZE", 2)
    for _ in range(5):
        make(State.CLOSED, submitted_at=timezone.now() - timedelta(days=11))
    call_command("purge", days=10)
    assert capsys.readouterr().out == "Accounts erased: 5\n"


def test_an_age_is_required(db: None) -> None:
    with pytest.raises(CommandError, match="Give an age"):
        call_command("purge")
