"""With single sign-on, an account has an ID from the partner's identity provider instead of a password."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from pytest_django import Settings

from provisioning import rules, services
from provisioning.models import Account
from provisioning.sandbox import Server
from provisioning.sandbox.dialect import error
from provisioning.sandbox.faults import FAULTS, Fault
from provisioning.sealed import NOTHING, Sealed
from provisioning.services import customers
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, account_in, again, at_once, pass_time, work

pytestmark = pytest.mark.django_db

ENTERED = {name: value for name, value in SIGN_UP.items() if name != "password"}


@pytest.fixture(autouse=True)
def single_sign_on(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"


def sign_up(idp_provider_id: str = "4711", submission: uuid.UUID | None = None, **changes: Any) -> Account:
    return services.submit(services.prepare(SIGN_UP | changes, submission or uuid.uuid4(), idp_provider_id))


def test_customers_are_asked_for_everything_but_a_password() -> None:
    without, with_it = (set(rules.customer_properties(single_sign_on=on)) for on in (False, True))
    assert without - with_it == {"password"}


def test_a_sign_up_is_stored_with_the_proven_id_and_no_password() -> None:
    account = sign_up(password="not-wanted", idp_provider_id="4711")

    assert (account.idp_provider_id, account.password, account.state) == ("4711", NOTHING, State.QUEUED)


def test_an_id_from_a_form_is_not_accepted() -> None:
    assert (
        services.submit(services.prepare(SIGN_UP | {"idp_provider_id": "1"}, uuid.uuid4(), "4711")).idp_provider_id
        == "4711"
    )


@pytest.mark.parametrize(("provider", "proven"), [("alder", ""), ("", "4711")])
def test_an_id_is_required_with_single_sign_on_and_only_then(settings: Settings, provider: str, proven: str) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = provider
    with pytest.raises(ValueError, match="required with single sign-on"):
        sign_up(proven)
    assert not Account.objects.exists()


def test_an_invalid_id_is_not_stored() -> None:
    with pytest.raises(ValidationError) as refusal:
        sign_up("x" * 256)
    assert refusal.value.message_dict.keys() == {"idp_provider_id"}


@pytest.mark.parametrize("state", [state for state in State if state != State.CLOSED])
def test_a_customer_with_an_open_account_gets_that_one(state: State) -> None:
    mine = account_in(state, idp_provider_id="4711", password=NOTHING, username="another-name")

    assert sign_up() == services.account_of("4711") == mine


def test_a_customer_whose_account_was_closed_gets_a_new_one() -> None:
    account_in(State.CLOSED, idp_provider_id="4711", password=NOTHING)

    assert services.account_of("4711") is None
    assert sign_up().state == State.QUEUED


def test_an_empty_id_identifies_no_one() -> None:
    account_in(State.QUEUED)

    assert services.account_of("") is None


def test_the_same_form_from_two_people_is_two_sign_ups() -> None:
    submission = uuid.uuid4()
    first = sign_up("1", submission)

    assert sign_up("2", submission, username="berta-jones") != first == sign_up("1", submission)


def test_another_customers_username_is_still_taken() -> None:
    sign_up("1")
    with pytest.raises(ValidationError) as refusal:
        sign_up("2")
    assert refusal.value.message_dict.keys() == {"username"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("names", [1, 20])
def test_concurrent_sign_ups_by_one_person_create_one_account(names: int) -> None:
    accounts = at_once(20, lambda number: sign_up(username=f"anna-{number % names}"))

    assert {account.pk for account in accounts} == {Account.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_a_faster_sign_up_in_another_window_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other window is stored just before this one: a race that threads on a busy machine might not reproduce."""
    others: list[Account] = []

    def meanwhile(entered: dict[str, Any]) -> dict[str, Any]:
        monkeypatch.undo()
        others.append(sign_up(username="faster"))
        return customers._sealed(entered)

    monkeypatch.setattr(customers, "_sealed", meanwhile)

    assert sign_up() == others[0]


def test_the_database_enforces_the_constraints() -> None:
    account_in(State.QUEUED, idp_provider_id="1", password=NOTHING)
    for wrong in ({"idp_provider_id": "1", "password": NOTHING}, {"idp_provider_id": "2", "password": Sealed.of("x")}):
        with pytest.raises(IntegrityError), transaction.atomic():
            account_in(State.QUEUED, username=f"anna-{uuid.uuid4()}", **wrong)


# What is sent


@BOTH
def test_the_provider_and_the_id_are_sent_without_a_password(sandbox: Server) -> None:
    account = sign_up()
    work()

    assert again(account).state == State.CREATED
    sent = sandbox.provider.accounts[NAME].properties
    assert sent == ENTERED | {"idp_provider": "alder", "idp_provider_id": "4711"}


@BOTH
def test_sign_ups_from_before_single_sign_on_are_sent_with_a_password(sandbox: Server, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = ""
    account = services.submit(services.prepare(SIGN_UP, uuid.uuid4()))
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    work()

    assert again(account).state == State.CREATED
    assert sandbox.provider.accounts[NAME].properties == ENTERED


def test_single_sign_on_sign_ups_wait_while_it_is_turned_off(sandbox: Server, settings: Settings) -> None:
    account = sign_up()
    settings.CONSTANT_CONTACT_IDP_PROVIDER = ""
    work(1)

    assert again(account).state == State.QUEUED
    assert "set CONSTANT_CONTACT_IDP_PROVIDER again" in account.attempts.get().error_message
    assert not sandbox.provider.calls
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    Account.objects.update(due_at=account.submitted_at)
    work()
    assert again(account).state == State.CREATED


@BOTH
def test_a_refused_id_does_not_stop_other_accounts(api: str, sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "external_id" if api == "v3" else "idp_provider_id"
    refusal = error(400, "json.value.invalid", f"#/{name}: Already in use.")
    monkeypatch.setitem(
        FAULTS, "id", Fault(description="refuses the id", is_carried_out=False, respond=lambda *_: refusal)
    )
    sandbox.provider.fail_next("create", "id")
    refused, other = sign_up("1"), sign_up("2", username="berta-jones")
    Account.objects.filter(pk=other.pk).update(due_at=None)
    work()
    Account.objects.filter(pk=other.pk).update(due_at=refused.submitted_at)
    work()

    assert (again(refused).state, again(other).state) == (State.REJECTED, State.CREATED)
    assert services.refused(refused) == {"idp_provider_id": "Already in use."}


def test_a_correction_cannot_add_a_password() -> None:
    account = account_in(State.REJECTED, idp_provider_id="4711", password=NOTHING)

    services.correct(account, {"password": "correct-horse", "username": "anna-2"})

    assert (again(account).state, again(account).username, again(account).password) == (
        State.QUEUED,
        "anna-2",
        NOTHING,
    )


def test_the_id_is_erased_with_the_other_personal_data() -> None:
    account = account_in(State.CREATED, idp_provider_id="4711")

    services.erase(account)

    assert again(account).idp_provider_id == ""
    pass_time()
    assert sign_up().idp_provider_id == "4711"
