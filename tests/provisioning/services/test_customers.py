"""What customers do: submit once, change, and correct."""

import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from pytest_django import Settings

from provisioning import rules, services
from provisioning.models import Account, Attempt, Gateway, IllegalMove, MovedMeanwhile
from provisioning.sandbox import Server
from provisioning.sealed import NOTHING
from tests.provisioning.mirror.conftest import entry, read
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, account_in, again, at_once, now, sign_up, work

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
def test_the_username_of_a_living_account_is_taken(state: State) -> None:
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


# Corrections


def test_a_correction_sends_new_values_and_keeps_the_others() -> None:
    account = account_in(State.REJECTED)

    services.correct(account, {"phone": "555 0100 999", "username": "anna-2"})

    after = again(account)
    assert (after.state, after.phone, after.username) == (State.QUEUED, "555 0100 999", "anna-2")
    assert (after.email, after.password.open()) == (SIGN_UP["email"], SIGN_UP["password"])
    assert after.due_at is not None
    assert after.due_at <= now()


def test_a_password_can_be_corrected_and_is_sealed() -> None:
    account = account_in(State.REJECTED)
    services.correct(account, {"password": "another-horse"})
    assert again(account).password.open() == "another-horse"


def test_an_invalid_correction_changes_nothing() -> None:
    account = account_in(State.REJECTED)
    with pytest.raises(ValidationError) as refusal:
        services.correct(account, {"phone": "1", "organization_name": "New"})
    assert refusal.value.message_dict.keys() == {"phone"}
    assert (again(account).state, again(account).organization_name) == (State.REJECTED, SIGN_UP["organization_name"])


def test_changing_the_country_drops_the_old_state() -> None:
    account = account_in(State.REJECTED)
    services.correct(account, {"country_code": "DE"})
    assert (again(account).country_code, again(account).state_code) == ("DE", "")


def test_only_corrected_values_are_validated() -> None:
    """Values stored under earlier rules must not block a correction."""
    account = account_in(State.REJECTED, phone="1")
    services.correct(account, {"username": "anna-2"})
    assert again(account).state == State.QUEUED


def test_a_correction_to_a_living_accounts_username_is_refused() -> None:
    account = account_in(State.REJECTED)
    account_in(State.QUEUED, username="berta")

    assert problem_with(lambda: services.correct(account, {"username": "berta"})) == ("username", "taken")
    assert again(account).state == State.REJECTED


@pytest.mark.parametrize("state", [state for state in State if state != State.REJECTED])
def test_only_rejected_accounts_can_be_corrected(state: State) -> None:
    """Above all, no account that may exist at Constant Contact, because a correction is sent without a look-up."""
    account = account_in(state)
    with pytest.raises(IllegalMove):
        services.correct(account, {"phone": "555 0100 999"})
    assert (again(account).state, again(account).phone) == (state, SIGN_UP["phone"])


def test_a_correction_may_be_held_for_staff() -> None:
    account = account_in(State.REJECTED)

    services.correct(account, {"phone": "555 0100 999"}, hold=True)

    held = again(account)
    assert (held.state, held.phone, held.due_at) == (State.HELD, "555 0100 999", None)
    assert held.password.open() == SIGN_UP["password"]
    services.approve(held)
    assert again(account).state == State.QUEUED


def test_the_first_of_two_corrections_counts() -> None:
    account, seen_by_another = account_in(State.REJECTED), Account.objects.get()
    services.correct(account, {"phone": "555 0100 999"})
    with pytest.raises(MovedMeanwhile):
        services.correct(seen_by_another, {"phone": "555 0100 111"})
    assert again(account).phone == "555 0100 999"


def test_refused_properties_are_those_of_the_last_call() -> None:
    account = account_in(State.REJECTED)
    assert services.refused(account) == {}
    for refused in ({"email": "Not valid"}, {"phone": "Too short"}):
        Attempt.objects.create(account=account, kind="create", outcome="refused", refused=refused)
    Attempt.objects.create(account=account, kind="look_up")
    assert services.refused(account) == {"phone": "Too short"}


def test_every_property_that_a_customer_enters_is_a_column() -> None:
    assert set(rules.CUSTOMER_PROPERTIES) <= {field.name for field in Account._meta.get_fields()}


def problem_with(act: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(ValidationError) as refusal:
        act()
    ((name, (problem,)),) = refusal.value.error_dict.items()
    return name, problem.code


class TestChange:
    """A customer goes back, fixes a typo, and submits the form again."""

    @pytest.mark.parametrize("state", [State.QUEUED, State.HELD])
    def test_a_waiting_account_is_changed_and_keeps_its_place(self, state: str) -> None:
        account = account_in(state)

        services.change(account, {"email": " Ann@nullmailer.com", "password": "another-horse"})

        changed = again(account)
        assert (changed.email, changed.password.open()) == ("Ann@nullmailer.com", "another-horse")
        assert (changed.state, changed.due_at, changed.claim) == (state, account.due_at, account.claim)

    def test_the_values_entered_last_are_sent(self, sandbox: Server) -> None:
        account = sign_up()
        services.change(account, {"email": "ann@nullmailer.com", "username": "ann-jones"})

        work()

        assert [each.properties["email"] for each in sandbox.provider.accounts.values()] == ["ann@nullmailer.com"]
        assert (again(account).state, list(sandbox.provider.accounts)) == (State.CREATED, ["ann-jones"])

    def test_a_changed_value_is_validated_with_the_others(self) -> None:
        account = sign_up()

        with pytest.raises(ValidationError) as refusal:
            services.change(account, {"country_code": "CA", "phone": "1"})

        assert refusal.value.message_dict.keys() == {"state_code", "phone"}
        assert again(account).country_code == "US"

    def test_a_username_that_another_account_holds_is_refused(self) -> None:
        sign_up(username="taken")
        account = sign_up()

        with pytest.raises(ValidationError) as refusal:
            services.change(account, {"username": "taken"})

        assert refusal.value.error_dict["username"][0].code == "taken"
        assert again(account).username == SIGN_UP["username"]

    @pytest.mark.parametrize("state", [State.SENDING, State.UNCONFIRMED, State.CREATED, State.CLOSED])
    def test_an_account_that_may_exist_is_not_changed(self, state: str) -> None:
        account = account_in(state)

        with pytest.raises(IllegalMove):
            services.change(account, {"email": "ann@nullmailer.com"})

        assert again(account).email == SIGN_UP["email"]

    @pytest.mark.parametrize("outcome", ["", "unknown", "created"])
    def test_a_queued_account_with_an_unanswered_call_is_not_changed(self, outcome: str) -> None:
        account = sign_up()
        Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=NAME, outcome=outcome)

        with pytest.raises(IllegalMove):
            services.change(account, {"email": "ann@nullmailer.com"})

    def test_an_account_stays_changeable_after_a_call_that_created_nothing(self) -> None:
        account = sign_up()
        Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=NAME, outcome="not_done")

        services.change(account, {"email": "ann@nullmailer.com"})

        assert again(account).email == "ann@nullmailer.com"

    def test_a_change_never_overtakes_a_concurrent_claim(
        self, sandbox: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The worker claims the account after the form was compared with it, but before the change is written."""
        account = sign_up()
        monkeypatch.setattr("provisioning.services.customers.is_changeable", lambda _: True)
        claim = services.claim_account()
        assert claim is not None

        with pytest.raises(MovedMeanwhile):
            services.change(account, {"email": "ann@nullmailer.com"})
        services.provision(claim)

        (sent,) = sandbox.provider.accounts.values()
        assert again(account).email == sent.properties["email"] == SIGN_UP["email"]

    def test_a_change_never_overtakes_a_worker_that_requeued_the_account(self) -> None:
        account = sign_up()
        Account.objects.update(claim=uuid.uuid4())

        with pytest.raises(MovedMeanwhile):
            services.change(account, {"email": "ann@nullmailer.com"})

    def test_a_rejected_account_is_resent_once_all_refused_values_change(self) -> None:
        account = account_in(State.REJECTED)
        refused = {"username": "Taken.", "email": "No."}
        Attempt.objects.create(
            account=account, kind=Attempt.Kind.CREATE, username=NAME, outcome="refused", refused=refused
        )

        services.change(account, {"username": "ann-jones", "phone": "12345"})
        assert (again(account).state, again(account).username) == (State.REJECTED, "ann-jones")

        services.change(again(account), {"email": "ann@nullmailer.com", "username": "ann-lee"})
        assert (again(account).state, again(account).username) == (State.QUEUED, "ann-lee")


class TestDifferences:
    def test_equal_values_have_no_differences(self) -> None:
        assert services.differences(sign_up(), rules.clean(SIGN_UP, only=set(SIGN_UP))) == {}

    def test_differences_are_the_values_that_the_account_lacks(self) -> None:
        values = rules.clean(SIGN_UP | {"email": "ann@nullmailer.com", "gdpr_opt_out": True, "website": "example.com"})

        assert services.differences(sign_up(), values) == {
            "email": "ann@nullmailer.com",
            "gdpr_opt_out": True,
            "website": "https://example.com",
        }

    def test_the_password_is_compared_while_it_is_kept(self, settings: Settings) -> None:
        account, other = sign_up(), {"password": "another-horse"}

        assert services.differences(account, other) == other
        settings.SEALING_KEYS = [Fernet.generate_key().decode()]
        assert services.differences(account, other) == {}
        assert services.differences(account_in(State.CREATED, username="ann"), other) == {}

    def test_with_single_sign_on_there_is_no_password_to_compare(self) -> None:
        account = account_in(State.QUEUED, idp_provider_id="anna", password=NOTHING)

        assert services.differences(account, {"password": "another-horse"}) == {}
