"""A sign-up through the API: stored like one from the page, and only once for each Idempotency-Key."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from provisioning import services
from provisioning.mirror import passes
from provisioning.models import Account, AuditEntry, ListEntry, ListPass
from signup.models import Brand, Mail
from tests.provisioning.work import at_once
from tests.signup.api.partner import BODY, SIGNUPS, Partner, errors

pytestmark = pytest.mark.django_db


def test_a_sign_up_is_accepted_with_where_to_look(partner: Partner) -> None:
    answer = partner.sign_up()

    account = Account.objects.get()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"http://testserver{SIGNUPS}/{account.reference}"
    assert partner.get(answer.headers["Location"]).json() == answer.json()
    assert answer.json()["reference"] == str(account.reference)
    assert answer.json()["state"] == account.state == "queued"
    assert account.password.open() == BODY["password"]
    assert (account.host, account.due_at is not None) == ("testserver", True)


def test_the_audit_trail_names_the_key(partner: Partner) -> None:
    partner.sign_up()

    entry = AuditEntry.objects.get()
    assert str(entry) == f"Signed up through the API by API key {partner.key}"
    assert partner.key.prefix in entry.who
    assert partner.token not in entry.who


def test_the_same_request_leads_to_the_same_account_for_ever(partner: Partner) -> None:
    first = partner.sign_up("order-1")
    account = Account.objects.get()
    assert partner.sign_up("order-1").json() == first.json()

    services.decline(hold(account), "other", "We can't.")

    again = partner.sign_up("order-1")
    assert (again.status_code, again.json()["state"]) == (202, "closed")
    assert again.json()["declined"] == {"reason": "other", "note": "We can't."}
    assert Account.objects.count() == 1


def hold(account: Account) -> Account:
    Account.objects.filter(pk=account.pk).update(state="held", due_at=None)
    return Account.objects.get(pk=account.pk)


def test_after_a_correction_the_first_request_still_leads_to_its_account(partner: Partner) -> None:
    partner.sign_up("order-1")
    services.change(Account.objects.get(), {"phone": "+1 555 010 7777"})

    assert partner.sign_up("order-1").json()["phone"] == "+1 555 010 7777"


@pytest.mark.parametrize(
    "changed", [{"phone": "+1 555 010 7777"}, {"password": "another-password"}, {"language": "fr"}]
)
def test_another_body_under_the_same_key_is_refused(partner: Partner, changed: dict[str, str]) -> None:
    partner.sign_up("order-1")

    answer = partner.sign_up("order-1", **changed)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Account.objects.count() == 1


def test_after_erasure_there_is_still_no_second_account(partner: Partner) -> None:
    partner.sign_up("order-1")
    account = Account.objects.get()
    services.erase(account)

    answer = partner.sign_up("order-1")

    assert (answer.status_code, answer.json()["reference"]) == (202, str(account.reference))
    assert answer.json()["erased_at"]
    assert answer.json()["email"] is None
    assert answer.json()["username"] is None
    assert Account.objects.count() == 1


def test_erasure_leaves_no_fingerprint_of_what_was_sent(partner: Partner) -> None:
    partner.sign_up()
    account = Account.objects.get()
    assert account.api_signup.fingerprint

    services.erase(account)

    account.api_signup.refresh_from_db()
    assert account.api_signup.fingerprint == ""


def test_the_passwords_fingerprint_is_wiped_with_the_password(partner: Partner) -> None:
    partner.sign_up("order-1")
    account = Account.objects.get()
    assert account.api_signup.password_fingerprint

    services.close(account)

    account.api_signup.refresh_from_db()
    assert account.api_signup.password_fingerprint == ""
    assert partner.sign_up("order-1", password="another-password").json()["reference"] == str(account.reference)


def test_after_the_secret_key_was_replaced_the_values_are_compared(partner: Partner, settings: Settings) -> None:
    partner.sign_up("order-1")
    settings.SECRET_KEY = "another one " + "x" * 50

    assert partner.sign_up("order-1").status_code == 202
    assert partner.sign_up("order-1", phone="+1 555 010 7777").status_code == 422
    assert partner.sign_up("order-1", phone="no phone").status_code == 422


def test_two_keys_dont_share_idempotency_keys(partner: Partner) -> None:
    partner.sign_up("order-1")

    other = Partner().sign_up("order-1", username="another.anna")

    assert other.status_code == 202
    assert Account.objects.count() == 2


@pytest.mark.parametrize("given", ["", "with blank", "ümlaut", "a" * 256])
def test_without_a_usable_idempotency_key_nothing_is_stored(partner: Partner, given: str) -> None:
    headers = {"Idempotency-Key": given} if given else {}

    answer = partner.send(SIGNUPS, BODY, **headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key")
    assert not Account.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_same_request_many_times_at_once_is_one_account() -> None:
    partner = Partner()

    answers = at_once(24, lambda number: partner.sign_up("order-1", **({"phone": "12345"} if number % 3 == 2 else {})))

    assert Account.objects.count() == 1
    assert {answer.status_code for answer in answers} == {202, 422}
    assert len({answer.json()["reference"] for answer in answers if answer.status_code == 202}) == 1
    assert sorted(answer.status_code for answer in answers) in ([202] * 16 + [422] * 8, [202] * 8 + [422] * 16)


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_the_same_request_a_thousand_times_at_once_is_one_account() -> None:
    partner = Partner()

    answers = at_once(40, lambda number: [partner.sign_up("order-1") for _ in range(25)])

    assert {answer.status_code for some in answers for answer in some} == {202}
    assert Account.objects.count() == 1


def test_wrong_values_are_named_by_property_and_code(partner: Partner) -> None:
    answer = partner.sign_up(email="anna", phone=None, country_code="XX", gdpr_opt_out="no", website=["a"])

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert errors(answer) == {
        "email": "email",
        "phone": "required",
        "country_code": "choice",
        "gdpr_opt_out": "type",
        "website": "type",
    }


def test_errors_are_in_the_language_of_the_request(partner: Partner) -> None:
    partner.headers["Accept-Language"] = "fr"

    assert "adresse" in partner.sign_up(email="anna").json()["errors"][0]["message"]


def test_a_taken_username_is_a_conflict_with_suggestions(partner: Partner) -> None:
    partner.sign_up()

    answer = partner.sign_up(username=BODY["username"].upper())

    assert (answer.status_code, answer.json()["code"]) == (409, "taken")
    assert errors(answer) == {"username": "taken"}
    assert answer.json()["suggestions"]
    assert BODY["username"] not in answer.json()["suggestions"]


def test_a_username_of_the_partners_list_is_taken_and_the_key_may_come_again(partner: Partner) -> None:
    read = ListPass.objects.create(outcome="complete", source=passes.source(), ended_at=timezone.now())
    ListEntry.objects.create(account_id="1", username=BODY["username"], username_key=BODY["username"], last_pass=read)
    assert partner.sign_up("order-1").status_code == 409

    assert partner.sign_up("order-1", username="another.anna").status_code == 202


def test_a_brands_key_signs_up_at_its_host(settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.EMAIL_URL = ["testserver", "alder.example.com"], {"EMAIL_BACKEND": "x"}
    brand = Brand.objects.create(name="Alder", host="alder.example.com", billing_locale="en_GB")

    Partner(brand=brand).sign_up(language="fr")

    account = Account.objects.get()
    assert (account.host, account.billing_locale, account.language) == ("alder.example.com", "en_GB", "fr")
    assert Mail.objects.get().origin == "http://alder.example.com/"


def test_with_single_sign_on_the_partner_says_who_the_customer_is(partner: Partner, settings: Settings) -> None:
    settings.CONSTANT_CONTACT_IDP_PROVIDER = "alder"
    body: dict[str, Any] = {name: value for name, value in BODY.items() if name != "password"}

    def send(key: str, **changes: Any) -> Any:
        return partner.send(SIGNUPS, body | changes, **{"Idempotency-Key": key})

    assert errors(send("1")) == {"idp_provider_id": "required"}
    assert send("2", idp_provider_id="7").status_code == 202
    assert send("2", idp_provider_id="7").status_code == 202
    assert send("2", idp_provider_id="8").json()["code"] == "idempotency_key_reused"
    assert send("3", idp_provider_id="7", username="another.anna").json()["code"] == "signed_up"
    assert send("4", idp_provider_id="9", username="third.anna", password="x").json()["code"] == "unknown_property"
    assert Account.objects.count() == 1


def test_the_partners_own_id_is_kept_and_shown(partner: Partner) -> None:
    answer = partner.sign_up("order-1", partner_account_id="crm-4711")

    assert Account.objects.get().partner_account_id == answer.json()["partner_account_id"] == "crm-4711"
    assert partner.sign_up("order-1", partner_account_id="crm-4712").json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("own_id", ["x" * 81, 7, ["crm"], "a\u202eb"])
def test_an_own_id_that_constant_contact_would_refuse_is_an_error(partner: Partner, own_id: Any) -> None:
    answer = partner.sign_up(partner_account_id=own_id, email="anna", language="xx")

    assert answer.status_code == 422
    assert set(errors(answer)) == {"partner_account_id", "email", "language"}


def test_where_a_sign_up_came_from_is_kept_and_shown(partner: Partner) -> None:
    came_from = {"utm_source": "newsletter", "promo": "SPRING"}

    answer = partner.sign_up(attribution=came_from | {"ref": None})

    assert Account.objects.get().attribution == answer.json()["attribution"] == came_from


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("newsletter", {"attribution": "type"}),
        ({"utm_sauce": "newsletter"}, {"attribution.utm_sauce": "unknown_property"}),
        ({"ref": 7, "promo": "x" * 101}, {"attribution.ref": "type", "attribution.promo": "max_length"}),
    ],
)
def test_a_wrong_attribution_is_told_and_not_dropped(partner: Partner, given: object, wrong: dict[str, str]) -> None:
    answer = partner.sign_up(attribution=given)

    assert (answer.status_code, errors(answer)) == (422, wrong)


def test_erasure_leaves_nothing_of_the_sign_up(partner: Partner) -> None:
    partner.sign_up("order-1", attribution={"ref": "canary"}, partner_account_id="canary-1")
    services.erase(Account.objects.get())

    again = partner.sign_up("order-1", attribution={"ref": "canary"}, partner_account_id="canary-1")

    assert "canary" not in again.content.decode()


def test_the_one_time_id_cant_be_guessed_from_the_idempotency_key(partner: Partner) -> None:
    partner.sign_up("order-1")

    assert Account.objects.get().submission == uuid.uuid5(partner.key.namespace, "order-1")
    assert str(partner.key.namespace) not in repr(vars(partner.get(SIGNUPS)))
