"""The fuse: an abnormal hour puts what follows into the hands of staff."""

import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from provisioning.services.fuse import NEVER_ABNORMAL, TIMES_THE_USUAL
from tests.provisioning.values import SIGN_UP

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def protected(settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    cache.clear()


def signed_up(number: int, state: str = "queued", ago: timedelta = timedelta()) -> None:
    Account.objects.bulk_create(
        Account(
            submission=uuid.uuid4(),
            username=f"bob-{uuid.uuid4()}",
            state=state,
            account_id="1" if state == "created" else "",
            submitted_at=timezone.now() - ago,
        )
        for _ in range(number)
    )


def submit() -> Account:
    return services.submit(SIGN_UP, uuid.uuid4())


A_WEEK_OF = 7 * 24


@pytest.mark.parametrize(
    ("last_hour", "usual", "state"),
    [
        (NEVER_ABNORMAL - 1, 0, "queued"),
        (NEVER_ABNORMAL, 0, "held"),
        (NEVER_ABNORMAL, NEVER_ABNORMAL // TIMES_THE_USUAL, "held"),
        (NEVER_ABNORMAL, NEVER_ABNORMAL // TIMES_THE_USUAL + 1, "queued"),
    ],
)
def test_more_than_any_hour_and_more_than_some_usual_ones_together_is_abnormal(
    last_hour: int, usual: int, state: str
) -> None:
    signed_up(usual * A_WEEK_OF, state="created", ago=timedelta(days=2))
    signed_up(last_hour)

    assert submit().state == state


def test_what_is_held_is_for_staff_to_release_and_for_no_worker() -> None:
    signed_up(NEVER_ABNORMAL)

    held = submit()

    assert held in Account.objects.waiting_for_staff()
    assert held.due_at is None
    services.approve(held)
    assert Account.objects.get(pk=held.pk).state == "queued"


def test_it_stays_blown_while_the_attack_lasts() -> None:
    signed_up(NEVER_ABNORMAL, state="held")

    assert submit().state == "held"


def test_what_staff_held_or_gave_up_makes_no_hour_usual() -> None:
    for state in ("held", "closed"):
        signed_up(NEVER_ABNORMAL * A_WEEK_OF // TIMES_THE_USUAL, state, ago=timedelta(days=2))
    signed_up(NEVER_ABNORMAL)

    assert submit().state == "held"


@pytest.mark.parametrize("ago", [timedelta(minutes=61), timedelta(days=1)])
def test_it_mends_itself_when_the_hour_is_over(ago: timedelta) -> None:
    signed_up(NEVER_ABNORMAL, ago=ago)

    assert submit().state == "queued"


def test_the_same_form_sent_again_is_the_account_that_it_was() -> None:
    form = uuid.uuid4()
    first = services.submit(SIGN_UP, form)
    signed_up(NEVER_ABNORMAL)

    assert services.submit(SIGN_UP, form) == first


def test_without_the_protection_there_is_no_fuse(settings: Settings) -> None:
    settings.ABUSE_PROTECTION = False
    signed_up(NEVER_ABNORMAL)

    assert submit().state == "queued"
