"""A sign-up may carry the partner's own ID for the account."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from provisioning import gateway, search, services
from provisioning.audit import MASKED
from provisioning.models import Account, AuditEntry
from provisioning.sandbox import Server
from provisioning.sandbox.dialect import error
from provisioning.sandbox.faults import FAULTS, Fault
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, again, work

pytestmark = pytest.mark.django_db

OWN = "CRM-4711"


def sign_up(own: str = OWN, **changes: Any) -> Account:
    return services.submit(services.prepare(SIGN_UP | changes, uuid.uuid4(), partner_account_id=own))


def refuse_next(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = error(400, "json.value.invalid", "#/partner_account_id: Already in use.")
    fault = Fault(description="refuses the ID", is_carried_out=False, respond=lambda *_: refusal)
    monkeypatch.setitem(FAULTS, "own-id", fault)
    sandbox.provider.fail_next("create", "own-id")


@BOTH
@pytest.mark.parametrize("by_settings", [False, True])
def test_it_is_sent_instead_of_the_settings(api: str, by_settings: bool, settings: Settings, sandbox: Server) -> None:
    settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID = by_settings
    account = sign_up()
    work()

    assert sandbox.provider.accounts[NAME].properties["partner_account_id"] == OWN
    assert again(account).attempts.get().sent == {"partner_account_id": OWN}


@pytest.mark.parametrize("own", ["x" * 81, "two\nlines"])
def test_an_id_that_constant_contact_would_refuse_is_not_accepted(own: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        sign_up(own)

    assert refusal.value.message_dict.keys() == {"partner_account_id"}


def test_an_id_from_a_form_is_not_accepted() -> None:
    assert sign_up("", partner_account_id="from-the-form").partner_account_id == ""


@BOTH
def test_a_refused_id_does_not_stop_other_accounts(api: str, sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    account = sign_up()
    refuse_next(sandbox, monkeypatch)
    work()

    assert (again(account).state, gateway.state().stop_reason) == (State.REJECTED, "")
    assert services.refused(account) == {"partner_account_id": "Already in use."}


def test_staff_can_correct_a_refused_id_and_customers_cannot(
    sandbox: Server, monkeypatch: pytest.MonkeyPatch, admin_user: Any
) -> None:
    account = sign_up()
    refuse_next(sandbox, monkeypatch)
    work()

    with pytest.raises(ValidationError, match="Nothing has changed"):
        services.correct(again(account), {"partner_account_id": "mine"})
    services.correct(again(account), {"partner_account_id": "CRM-4712"}, by=admin_user.pk)
    work()

    assert again(account).state == State.CREATED
    assert sandbox.provider.accounts[NAME].properties["partner_account_id"] == "CRM-4712"
    assert AuditEntry.objects.get().changes == {"partner_account_id": [OWN, "CRM-4712"]}


@pytest.mark.parametrize("text", [OWN, "crm", "4711"])
def test_it_is_found_by_a_search(text: str) -> None:
    account = sign_up()

    assert list(search.matching(Account.objects.all(), text)) == [account]


def test_it_is_erased_wherever_it_is_stored(sandbox: Server) -> None:
    account = sign_up()
    work()

    services.erase(again(account))

    assert again(account).partner_account_id == ""
    assert again(account).attempts.get().sent == {"partner_account_id": MASKED}
    assert not search.matching(Account.objects.all(), OWN)


def test_our_own_reference_stays_in_what_was_sent(settings: Settings, sandbox: Server) -> None:
    settings.CONSTANT_CONTACT_PARTNER_ACCOUNT_ID = True
    account = sign_up("")
    work()

    services.erase(again(account))

    assert again(account).attempts.get().sent == {"partner_account_id": str(account.reference)}
