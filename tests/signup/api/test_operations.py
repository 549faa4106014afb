"""What the partner's systems can do with a sign-up: correct it, and act as staff. All of it is on record."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from provisioning import services
from provisioning.admin.actions import ACTIONS
from provisioning.models import Account, Attempt, AuditEntry, MovedMeanwhile
from signup.api.operations import VERBS
from tests.signup.accounts import CANARY, account
from tests.signup.api.partner import SIGNUPS, Partner, errors

pytestmark = pytest.mark.django_db


def correct(partner: Partner, of: Account, **values: Any) -> Any:
    return partner.send(f"{SIGNUPS}/{of.reference}", values, method="PATCH")


def act(partner: Partner, of: Account, verb: str, body: Any = None) -> Any:
    return partner.send(f"{SIGNUPS}/{of.reference}/{verb}", body)


def test_a_correction_sends_a_rejected_sign_up_again(partner: Partner) -> None:
    of = account("rejected", {"phone": "Wrong."})

    answer = correct(partner, of, phone="+1 555 010 7777", password="another-password")

    of.refresh_from_db()
    assert (answer.status_code, answer.json()["state"], answer.json()["phone"]) == (200, "queued", "+1 555 010 7777")
    assert (of.state, of.phone, of.password.open()) == ("queued", "+1 555 010 7777", "another-password")
    entry = AuditEntry.objects.get()
    assert str(entry) == f"Corrected by API key {partner.key}"
    assert entry.changes["phone"][1] == "+1 555 010 7777"
    assert "another-password" not in str(entry.changes)


@pytest.mark.parametrize("state", set(Account.State) - {"rejected"})
def test_only_a_rejected_sign_up_is_corrected(partner: Partner, state: str) -> None:
    answer = correct(partner, account(state), phone="+1 555 010 7777")

    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "state", state)


def test_a_correction_that_changes_nothing_is_refused(partner: Partner) -> None:
    of = account("rejected", {"phone": "Wrong."})

    answer = correct(partner, of, phone=of.phone)

    assert (answer.status_code, errors(answer)) == (422, {None: "unchanged"})


def test_a_correction_is_validated(partner: Partner) -> None:
    of = account("rejected", {"phone": "Wrong."})

    assert errors(correct(partner, of, phone="no phone", email="anna")) == {"phone": "characters", "email": "email"}
    assert correct(partner, of, state="created").json()["code"] == "unknown_property"
    assert Account.objects.get().state == "rejected"


def test_a_taken_username_is_corrected_to_another_one(partner: Partner) -> None:
    of, other = account("rejected", {"username": ""}, outcome="taken"), account("queued")

    answer = correct(partner, of, username=other.username)

    assert (answer.status_code, answer.json()["code"]) == (409, "taken")
    assert answer.json()["suggestions"]
    assert correct(partner, of, username=answer.json()["suggestions"][0]).status_code == 200


def test_the_partners_own_id_is_corrected_too(partner: Partner) -> None:
    of = account("rejected", {"partner_account_id": "Wrong."}, partner_account_id="crm-4711")
    shown = partner.get(f"{SIGNUPS}/{of.reference}").json()["refused"]
    assert [each["property"] for each in shown] == ["partner_account_id"]

    assert correct(partner, of, partner_account_id="crm-4712").json()["partner_account_id"] == "crm-4712"


def test_corrections_are_limited(partner: Partner, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    of = account("rejected", {"phone": "Wrong."})
    for number in range(10):
        Account.objects.update(state="rejected")
        assert correct(partner, of, phone=f"+1 555 010 77{number:02}").status_code == 200
    Account.objects.update(state="rejected")

    assert correct(partner, of, phone="+1 555 010 7799").status_code == 429


def test_usernames_that_turn_out_to_be_taken_count_too(partner: Partner, settings: Settings) -> None:
    """Otherwise, anybody with a key could find out who has an account."""
    settings.ABUSE_PROTECTION = True
    of, other = account("rejected", {"phone": "Wrong."}), account("queued")

    answers = [correct(partner, of, username=other.username).status_code for _ in range(11)]

    assert answers == [409] * 10 + [429]


def test_wrong_values_dont_count(partner: Partner, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    of = account("rejected", {"phone": "Wrong."})

    assert {correct(partner, of, phone="no phone").status_code for _ in range(11)} == {422}
    assert correct(partner, of, phone="+1 555 010 7777").status_code == 200


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", Account.State)
def test_a_verb_does_what_staff_can_do_in_this_state(partner: Partner, verb: str, state: str) -> None:
    of = account(state)
    action = VERBS[verb]

    answer = act(partner, of, verb, {"reason": "duplicate"} if verb == "decline" else None)

    if action.is_for(of):
        entry = AuditEntry.objects.get()
        assert answer.status_code == 200
        assert str(entry) == f"{action.done} by API key {partner.key}"
        assert answer.json()["state"] == Account.objects.get().state
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "state")
        assert not AuditEntry.objects.exists()
        assert Account.objects.get().state == state


def test_the_verbs_are_staffs_actions(partner: Partner) -> None:
    assert {action.name for action in ACTIONS if action in VERBS.values()} == {
        "approve",
        "decline",
        "retry",
        "look_up",
        "close",
    }


def test_declining_needs_a_reason(partner: Partner) -> None:
    of = account("held")

    assert errors(act(partner, of, "decline")) == {"reason": "required"}
    assert errors(act(partner, of, "decline", {"reason": "because"})) == {"reason": "invalid_choice"}
    assert errors(act(partner, of, "decline", {"reason": "other"})) == {"note": "invalid"}
    assert act(partner, of, "decline", {"reason": "other", "words": "x"}).json()["code"] == "unknown_property"
    answer = act(partner, of, "decline", {"reason": "other", "note": "We closed the offer."})
    assert answer.json()["declined"] == {"reason": "other", "note": "We closed the offer."}


def test_a_sign_up_that_may_exist_is_told_so_even_after_it_was_erased(partner: Partner) -> None:
    of = account("unconfirmed", {}, "unknown")
    before = partner.get(f"{SIGNUPS}/{of.reference}").json()
    assert act(partner, of, "close").json()["may_exist"] is before["may_exist"] is True

    of.refresh_from_db()
    services.erase(of)

    assert partner.get(f"{SIGNUPS}/{of.reference}").json()["may_exist"] is True


@pytest.mark.parametrize("note", [7, ["x"], {"a": 1}, True, "x" * 501])
def test_a_note_has_to_be_text(partner: Partner, note: Any) -> None:
    answer = act(partner, account("held"), "decline", {"reason": "duplicate", "note": note})

    assert (answer.status_code, list(errors(answer))) == (422, ["note"])


def test_a_race_is_a_conflict(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object, **__: object) -> None:
        raise MovedMeanwhile

    monkeypatch.setattr(Account, "move", lose)

    assert act(partner, account("held"), "approve").json()["code"] == "moved"
    assert correct(partner, account("rejected"), phone="+1 555 010 7777").json()["code"] == "moved"
    assert not AuditEntry.objects.exists()


def test_a_key_acts_only_on_sign_ups_that_it_sees(partner: Partner) -> None:
    from signup.models import Brand

    of = account("held", host="birch.example.com")
    other = Partner(brand=Brand.objects.create(name="Alder", host="alder.example.com"))

    assert act(other, of, "approve").status_code == 404
    assert correct(other, of, phone="12345").status_code == 404


def test_no_answer_or_record_has_a_password(partner: Partner) -> None:
    of = account("rejected", {"password": "Wrong."})

    answers = [correct(partner, of, password="short"), correct(partner, of, password="canary-another-password")]

    kept = repr([*AuditEntry.objects.values(), *Attempt.objects.values()])
    for text in (*(answer.content.decode() for answer in answers), kept):
        assert "canary" not in text
        assert CANARY not in text
        assert '"short"' not in text
