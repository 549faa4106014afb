from datetime import timedelta

import pytest
from pytest_django import Settings

from provisioning import services
from provisioning.constant_contact import Answer, Entry, Meaning
from provisioning.mirror import passes
from provisioning.models import Account, Attempt, ListPass
from provisioning.services.look_ups import settle_page
from tests.provisioning.services.conftest import quick
from tests.provisioning.work import State, account_in, pass_time

__all__ = ["quick"]

ORGANIZATION = "Anna's Bakery"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COMPLETE, FAILED = ListPass.Outcome.COMPLETE, ListPass.Outcome.FAILED


def entry(account_id: str = "7", username: str = "anna", organization_name: str = ORGANIZATION) -> Entry:
    return Entry(account_id, username, organization_name)


def read(*entries: Entry, next_page: str = "", skipped: int = 0, held: ListPass | None = None) -> ListPass:
    """Read a page of the list, in a new pass unless `held` is given; by default a list of one page."""
    pass_time()
    held = held or passes.claim()
    assert held
    settle_page(held, Answer(meaning=Meaning.LISTED, entries=entries, next_page=next_page, skipped=skipped))
    pass_time()
    return ListPass.objects.get(pk=held.pk)


def claimed() -> ListPass:
    """Return the pass whose next page was just claimed."""
    pass_time()
    claim = services.claim_page()
    assert claim
    return claim.list_pass


def unanswered(username: str = "anna", organization_name: str = ORGANIZATION, **columns: object) -> Account:
    """An account with a call that just went unanswered."""
    account = account_in(State.UNCONFIRMED, username=username, organization_name=organization_name, **columns)
    Attempt.objects.create(
        account=account, kind=Attempt.Kind.CREATE, username=username, outcome=Attempt.Outcome.UNKNOWN
    )
    pass_time()
    return account


@pytest.fixture
def v3(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
