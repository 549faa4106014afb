import pytest
from django.core.management import CommandError, call_command

from provisioning import rules
from provisioning.models import Account, Attempt


def test_sample_accounts_look_real(db: None, settings: object) -> None:
    settings.DEBUG = True  # type: ignore[attr-defined]
    call_command("seed", 60, days=3)
    call_command("seed", 20, days=3)
    assert Account.objects.count() == 80
    assert Account.objects.filter(state=Account.State.CREATED).exists()
    assert Attempt.objects.filter(outcome=Attempt.Outcome.CREATED).exists()
    entered = set(rules.CUSTOMER_PROPERTIES) - {"password"}
    for account in Account.objects.all():
        rules.clean({name: getattr(account, name) for name in entered}, only=entered)


def test_a_real_installation_is_not_seeded(db: None) -> None:
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("seed", 1)
