"""The page on which staff decide whether an unconfirmed account exists."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.models import Account, Attempt
from tests.provisioning.admin.conftest import page_of, told
from tests.provisioning.mirror.conftest import entry, read, unanswered
from tests.provisioning.services.conftest import quick
from tests.provisioning.work import State, account_in, again

__all__ = ["quick"]
pytestmark = pytest.mark.django_db
THEIRS = "Another Bakery"


@pytest.fixture
def doubtful() -> Account:
    """Return an account whose username is listed with another organization."""
    account = unanswered()
    read(entry(organization_name=THEIRS))
    return again(account)


def url(account: Account) -> str:
    return reverse("admin:provisioning_account_decide", args=[account.pk])


def decided(client: Client, account: Account, choice: str, **data: Any) -> Any:
    seen = {"seen": account.state_changed_at.isoformat()}
    return client.post(url(account), seen | {"choice": choice} | data, follow=True)


def test_the_sent_values_are_shown_beside_the_listed_ones(admin_client: Client, doubtful: Account) -> None:
    page = admin_client.get(url(doubtful)).content.decode()
    for words in (doubtful.username, doubtful.organization_name, THEIRS, "7", "no account here"):
        assert words.replace("'", "&#x27;") in page


def test_the_accounts_page_links_to_it_and_its_timeline_says_why(admin_client: Client, doubtful: Account) -> None:
    page = admin_client.get(page_of(doubtful)).content.decode()
    assert url(doubtful) in page
    assert "Please decide." in page


def test_staff_can_decide_that_a_listed_account_is_the_customers(admin_client: Client, doubtful: Account) -> None:
    choice = next(value for value, _label in admin_client.get(url(doubtful)).context["form"].fields["choice"].choices)
    assert "Matched to a listed account: account ID 7." in told(decided(admin_client, doubtful, choice))
    account = again(doubtful)
    assert (account.state, account.account_id, account.settled_by) == (State.CREATED, "7", "staff")
    assert "Matched to a listed account by dora." in admin_client.get(page_of(account)).content.decode()


def test_staff_can_decide_that_the_username_is_somebody_elses(admin_client: Client, doubtful: Account) -> None:
    assert "somebody else" in told(decided(admin_client, doubtful, "others"))
    assert again(doubtful).state == State.REJECTED
    assert doubtful.attempts.latest("pk").outcome == Attempt.Outcome.OTHERS


def test_another_sign_ups_account_is_not_offered(admin_client: Client, doubtful: Account) -> None:
    other = account_in(State.CREATED, username="other", account_id="7", organization_name="Other Corp")
    page = admin_client.get(url(doubtful))
    assert len(page.context["form"].fields["choice"].choices) == 1
    assert page_of(other) in page.content.decode()


def test_nothing_is_decided_without_a_choice(admin_client: Client, doubtful: Account) -> None:
    assert "Choose one." in decided(admin_client, doubtful, "").content.decode()
    assert again(doubtful).state == State.UNCONFIRMED


@pytest.mark.parametrize("seen", ["2001-01-01T00:00:00+00:00", "nonsense"])
def test_a_decision_about_an_entry_that_was_not_shown_is_refused(
    seen: str, admin_client: Client, doubtful: Account
) -> None:
    assert "has changed since you opened it" in told(decided(admin_client, doubtful, "others", seen=seen))
    assert again(doubtful).state == State.UNCONFIRMED


def test_an_account_that_is_no_longer_unconfirmed_is_left_alone(admin_client: Client) -> None:
    account = account_in(State.CREATED)
    assert "has changed since you opened it" in told(admin_client.get(url(account), follow=True))


def test_without_a_listed_entry_the_page_says_so(admin_client: Client) -> None:
    page = admin_client.get(url(unanswered())).content.decode()
    assert "No account with this username." in page
    assert "has not been read in full yet" in page


def test_the_page_says_that_an_uncalibrated_list_proves_nothing(admin_client: Client, v3: None) -> None:
    assert "not known yet whether that list shows usernames" in admin_client.get(url(unanswered())).content.decode()


@pytest.fixture
def v3(settings: Any) -> None:
    settings.CONSTANT_CONTACT_API = "v3"
