"""What customers do: submit, once, and correct."""

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
from provisioning.models import Account, Attempt, IllegalMove, MovedMeanwhile
from provisioning.sandbox import Server
from provisioning.sealed import NOTHING
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, account_in, again, at_once, now, sign_up, work

pytestmark = pytest.mark.django_db


def test_a_sign_up_is_stored_as_it_was_entered_and_waits_to_be_sent() -> None:
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


def test_every_problem_of_a_sign_up_is_told_by_property() -> None:
    with pytest.raises(ValidationError) as refusal:
        sign_up(phone="1", state_code="", password="short", username="Anna!")
    assert refusal.value.message_dict.keys() == {"phone", "state_code", "password", "username"}
    assert not Account.objects.exists()


def test_what_is_the_partners_to_supply_is_not_taken_from_a_customer() -> None:
    assert sign_up(account_id="1", state="created", single_billing=True).state == State.QUEUED


def test_the_same_form_again_is_the_same_account_whatever_it_says_now() -> None:
    submission = uuid.uuid4()
    first = services.submit(SIGN_UP, submission)

    assert services.submit({"username": "!"}, submission) == first
    assert again(first).username == SIGN_UP["username"]


def test_it_is_logged_once_by_reference(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    submission = uuid.uuid4()
    account = services.submit(SIGN_UP, submission)
    services.submit(SIGN_UP, submission)

    assert caplog.messages == [f"account submitted reference={account.reference}"]


@pytest.mark.parametrize("state", [state for state in State if state != State.CLOSED])
def test_the_user_name_of_a_living_account_is_taken(state: State) -> None:
    account_in(state)

    assert problem_with(sign_up) == ("username", "taken")
    assert Account.objects.count() == 1


def test_the_user_name_of_an_account_given_up_is_free() -> None:
    account_in(State.CLOSED)

    assert sign_up().state == State.QUEUED


def test_another_fault_of_the_database_is_not_taken_for_a_username_in_use() -> None:
    with pytest.raises(IntegrityError):
        services.submit(SIGN_UP, uuid.uuid4(), host=None)  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_a_hundred_times_at_once_is_one_account() -> None:
    submission = uuid.uuid4()

    accounts = at_once(100, lambda _: services.submit(SIGN_UP, submission))

    assert {account.pk for account in accounts} == {Account.objects.get().pk}
    assert {account.reference for account in accounts} == {Account.objects.get().reference}


@pytest.mark.django_db(transaction=True)
def test_of_many_who_want_one_username_one_gets_it_and_the_others_are_told() -> None:
    def submit(number: int) -> str:
        try:
            return str(sign_up(organization_name=f"Bakery {number}").organization_name)
        except ValidationError as refusal:
            return str(refusal.error_dict["username"][0].code)

    told = at_once(20, submit)

    assert sorted(told) == sorted(["taken"] * 19 + [Account.objects.get().organization_name])


# Corrections


def test_a_correction_is_sent_with_the_new_values_and_all_others_as_they_were() -> None:
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


def test_a_correction_is_judged_by_the_rules_and_changes_nothing_when_it_breaks_them() -> None:
    account = account_in(State.REJECTED)
    with pytest.raises(ValidationError) as refusal:
        services.correct(account, {"phone": "1", "organization_name": "New"})
    assert refusal.value.message_dict.keys() == {"phone"}
    assert (again(account).state, again(account).organization_name) == (State.REJECTED, SIGN_UP["organization_name"])


def test_another_country_takes_its_state_with_it() -> None:
    account = account_in(State.REJECTED)
    services.correct(account, {"country_code": "DE"})
    assert (again(account).country_code, again(account).state_code) == ("DE", "")


def test_only_what_is_corrected_is_judged() -> None:
    """What was stored under other rules must not stand in the way of a correction."""
    account = account_in(State.REJECTED, phone="1")
    services.correct(account, {"username": "anna-2"})
    assert again(account).state == State.QUEUED


def test_a_correction_to_a_user_name_that_a_living_account_holds_is_refused() -> None:
    account = account_in(State.REJECTED)
    account_in(State.QUEUED, username="berta")

    assert problem_with(lambda: services.correct(account, {"username": "berta"})) == ("username", "taken")
    assert again(account).state == State.REJECTED


@pytest.mark.parametrize("state", [state for state in State if state != State.REJECTED])
def test_only_what_was_rejected_can_be_corrected(state: State) -> None:
    """Above all nothing that may be at Constant Contact already: a correction sends without looking."""
    account = account_in(state)
    with pytest.raises(IllegalMove):
        services.correct(account, {"phone": "555 0100 999"})
    assert (again(account).state, again(account).phone) == (state, SIGN_UP["phone"])


def test_of_two_corrections_of_the_same_account_the_first_one_counts() -> None:
    account, seen_by_another = account_in(State.REJECTED), Account.objects.get()
    services.correct(account, {"phone": "555 0100 999"})
    with pytest.raises(MovedMeanwhile):
        services.correct(seen_by_another, {"phone": "555 0100 111"})
    assert again(account).phone == "555 0100 999"


def test_what_was_refused_is_what_the_last_call_was_refused_for() -> None:
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
    """A customer goes back, corrects what was mistyped, and sends the form again."""

    @pytest.mark.parametrize("state", [State.QUEUED, State.HELD])
    def test_what_waits_is_changed_in_place_and_keeps_its_turn(self, state: str) -> None:
        account = account_in(state)

        services.change(account, {"email": " Ann@nullmailer.com", "password": "another-horse"})

        changed = again(account)
        assert (changed.email, changed.password.open()) == ("Ann@nullmailer.com", "another-horse")
        assert (changed.state, changed.due_at, changed.claim) == (state, account.due_at, account.claim)

    def test_what_is_sent_is_what_was_entered_last(self, sandbox: Server) -> None:
        account = sign_up()
        services.change(account, {"email": "ann@nullmailer.com", "username": "ann-jones"})

        work()

        assert [each.properties["email"] for each in sandbox.provider.accounts.values()] == ["ann@nullmailer.com"]
        assert (again(account).state, list(sandbox.provider.accounts)) == (State.CREATED, ["ann-jones"])

    def test_a_changed_value_is_judged_beside_those_that_stay(self) -> None:
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
    def test_what_may_be_at_constant_contact_is_not_changed(self, state: str) -> None:
        account = account_in(state)

        with pytest.raises(IllegalMove):
            services.change(account, {"email": "ann@nullmailer.com"})

        assert again(account).email == SIGN_UP["email"]

    @pytest.mark.parametrize("outcome", ["", "unknown", "created"])
    def test_nor_what_waits_for_another_call_after_one_that_was_not_answered(self, outcome: str) -> None:
        account = sign_up()
        Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=NAME, outcome=outcome)

        with pytest.raises(IllegalMove):
            services.change(account, {"email": "ann@nullmailer.com"})

    def test_a_call_that_created_nothing_leaves_it_changeable(self) -> None:
        account = sign_up()
        Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username=NAME, outcome="not_done")

        services.change(account, {"email": "ann@nullmailer.com"})

        assert again(account).email == "ann@nullmailer.com"

    def test_a_worker_that_claims_it_at_the_same_time_is_never_overtaken(
        self, sandbox: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The worker claims it after the customer's form was compared with what is kept, and before it is written."""
        account = sign_up()
        monkeypatch.setattr("provisioning.services.customers.is_changeable", lambda _: True)
        claim = services.claim_account()
        assert claim is not None

        with pytest.raises(MovedMeanwhile):
            services.change(account, {"email": "ann@nullmailer.com"})
        services.provision(claim)

        (sent,) = sandbox.provider.accounts.values()
        assert again(account).email == sent.properties["email"] == SIGN_UP["email"]

    def test_nor_one_that_has_put_it_back_meanwhile(self) -> None:
        account = sign_up()
        Account.objects.update(claim=uuid.uuid4())

        with pytest.raises(MovedMeanwhile):
            services.change(account, {"email": "ann@nullmailer.com"})

    def test_a_rejected_one_is_sent_again_once_all_that_was_refused_is_changed(self) -> None:
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
    def test_the_same_values_differ_in_nothing(self) -> None:
        assert services.differences(sign_up(), rules.clean(SIGN_UP, only=set(SIGN_UP))) == {}

    def test_they_are_what_the_account_does_not_have(self) -> None:
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

    def test_with_single_sign_on_there_is_none_to_compare(self) -> None:
        account = account_in(State.QUEUED, idp_provider_id="anna", password=NOTHING)

        assert services.differences(account, {"password": "another-horse"}) == {}
