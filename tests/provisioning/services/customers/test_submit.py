"""A form becomes one account, whatever is sent how often."""

import logging
import uuid
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from pytest_django import Settings

from provisioning import rules, services
from provisioning.models import Account, Gateway
from tests.provisioning.mirror.conftest import entry, read
from tests.provisioning.services.customers.problems import problem_with
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, again, at_once, now, sign_up

pytestmark = pytest.mark.django_db


def test_a_sign_up_is_stored_as_entered_and_queued() -> None:
    account = sign_up(website=" https://bakery.example.com ", gdpr_opt_out=True)

    assert (account.state, account.website, account.gdpr_opt_out) == (State.QUEUED, "https://bakery.example.com", True)
    assert {name: getattr(account, name) for name in SIGN_UP if name != "password"} == {
        name: value for name, value in SIGN_UP.items() if name != "password"
    }
    assert account.due_at is not None
    assert account.due_at <= now()


def test_the_password_is_sealed_before_it_is_stored() -> None:
    assert sign_up().password.open() == SIGN_UP["password"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM provisioning_account")
        assert SIGN_UP["password"] not in cursor.fetchone()[0]


def test_all_problems_are_reported_by_property() -> None:
    with pytest.raises(ValidationError) as refusal:
        sign_up(phone="1", state_code="", password="short", username="Anna!")
    assert refusal.value.message_dict.keys() == {"phone", "state_code", "password", "username"}
    assert not Account.objects.exists()


def test_partner_properties_are_not_accepted_from_customers() -> None:
    assert sign_up(account_id="1", state="created", single_billing=True).state == State.QUEUED


def test_the_same_form_again_is_the_same_account_whatever_its_values() -> None:
    submission = uuid.uuid4()
    first = services.submit(services.prepare(SIGN_UP, submission))

    assert services.submit(services.prepare(SIGN_UP | {"username": "another"}, submission)) == first
    assert again(first).username == SIGN_UP["username"]


def test_a_sign_up_is_logged_once_by_reference(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    submission = uuid.uuid4()
    account = services.submit(services.prepare(SIGN_UP, submission))
    services.submit(services.prepare(SIGN_UP, submission))

    assert caplog.messages == [f"account submitted reference={account.reference}"]


@pytest.mark.parametrize("state", [state for state in State if state != State.CLOSED])
def test_the_username_of_an_open_account_is_taken(state: State) -> None:
    account_in(state)

    assert problem_with(sign_up) == ("username", "taken")
    assert Account.objects.count() == 1


def test_the_username_of_a_closed_account_is_free() -> None:
    account_in(State.CLOSED)

    assert sign_up().state == State.QUEUED


class TestListedUsername:
    """A username that the partner's list shows is taken before anything is sent."""

    @pytest.fixture
    def listed(self) -> None:
        read(entry(username="Anna-Jones"))

    @pytest.mark.usefixtures("listed")
    def test_it_is_taken_for_a_new_sign_up(self) -> None:
        assert problem_with(sign_up) == ("username", "taken")
        assert not Account.objects.exists()

    @pytest.mark.parametrize("act", [services.correct, services.change])
    def test_it_is_taken_for_a_correction(self, act: Callable[..., None]) -> None:
        account = account_in(State.REJECTED, username="anna")
        read(entry(username="Anna-Jones"))

        assert problem_with(lambda: act(account, {"username": "anna-jones"})) == ("username", "taken")
        assert again(account).state == State.REJECTED

    def test_staff_can_still_retry_a_sign_up_that_has_it(self) -> None:
        account = account_in(State.REJECTED)
        read(entry(username=SIGN_UP["username"]))

        services.correct(account, {"phone": "555-555-0199"})

        assert again(account).state == State.QUEUED

    @pytest.mark.usefixtures("listed")
    def test_the_same_form_again_is_still_the_same_account(self) -> None:
        submission = uuid.uuid4()
        account = account_in(State.CREATED)
        Account.objects.filter(pk=account.pk).update(submission=submission)

        assert services.submit(services.prepare(SIGN_UP, submission)) == account

    @pytest.mark.usefixtures("listed")
    def test_it_is_free_once_a_complete_pass_does_not_show_it(self) -> None:
        read(entry("8", "somebody-else"))

        assert sign_up().state == State.QUEUED

    @pytest.mark.usefixtures("listed")
    def test_a_pass_in_progress_frees_none(self) -> None:
        read(entry("8", "somebody-else"), next_page="2")

        assert problem_with(sign_up) == ("username", "taken")

    @pytest.mark.parametrize("names", ["", Gateway.ListNames.ORGANIZATION])
    def test_a_list_of_peoples_names_says_nothing(self, settings: Settings, names: str) -> None:
        settings.CONSTANT_CONTACT_API = "v3"
        read(entry(username="Anna-Jones"))
        Gateway.objects.update(list_names=names)

        assert sign_up().state == State.QUEUED


def test_other_database_errors_are_not_reported_as_a_taken_username() -> None:
    with pytest.raises(IntegrityError):
        services.submit(services.prepare(SIGN_UP, uuid.uuid4(), host=None))  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_a_hundred_times_at_once_is_one_account() -> None:
    submission = uuid.uuid4()

    accounts = at_once(100, lambda _: services.submit(services.prepare(SIGN_UP, submission)))

    assert {account.pk for account in accounts} == {Account.objects.get().pk}
    assert {account.reference for account in accounts} == {Account.objects.get().reference}


@pytest.mark.django_db(transaction=True)
def test_one_of_many_concurrent_customers_gets_the_username() -> None:
    def submit(number: int) -> str:
        try:
            return str(sign_up(organization_name=f"Bakery {number}").organization_name)
        except ValidationError as refusal:
            return str(refusal.error_dict["username"][0].code)

    told = at_once(20, submit)

    assert sorted(told) == sorted(["taken"] * 19 + [Account.objects.get().organization_name])


def test_every_property_that_a_customer_enters_is_a_column() -> None:
    assert set(rules.CUSTOMER_PROPERTIES) <= {field.name for field in Account._meta.get_fields()}
