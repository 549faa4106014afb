"""A share of the daily quota is reserved for new sign-ups, however many corrections there are."""

import pytest
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.models import Account, Attempt, Gateway
from tests.provisioning.work import State, account_in

pytestmark = pytest.mark.django_db


def queued(*outcomes: str) -> Account:
    """A queued account that got this answer before."""
    account = account_in(State.QUEUED, username=f"anna-{Account.objects.count()}")
    for outcome in outcomes:
        attempt = Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=account.username)
        attempt.complete(outcome=outcome)
    return account


def spend(calls: int) -> None:
    gateway.state()
    Gateway.objects.update(calls=calls, day=gateway.now().date())


@pytest.mark.parametrize("refused", [Attempt.Outcome.REFUSED, Attempt.Outcome.TAKEN])
@pytest.mark.parametrize(("spent", "first"), [(79, 0), (80, 1), (99, 1)])
def test_accounts_refused_before_leave_the_reserve_to_new_sign_ups(
    settings: Settings, refused: str, spent: int, first: int
) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 100
    accounts = [queued(refused), queued()]
    spend(spent)

    claim = services.claim_account()

    assert claim
    assert claim.account == accounts[first]


def test_accounts_unsent_for_other_reasons_count_as_new(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 100
    queued(Attempt.Outcome.NOT_DONE)
    spend(99)

    assert services.claim_account()


def test_with_nothing_but_corrections_the_reserve_is_kept(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 100
    queued(Attempt.Outcome.TAKEN)
    spend(80)

    assert services.claim_account() is None
    assert Account.objects.get().state == State.QUEUED
