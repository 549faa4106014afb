"""Matching: whether a listed account is the one that one of our unanswered calls created."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning import services
from provisioning.mirror import matching
from provisioning.mirror.matching import Finding, Verdict
from provisioning.mirror.models import name_key, organization_key
from provisioning.models import Account, Attempt, Gateway, IllegalMove, ListEntry
from provisioning.sealed import NOTHING
from tests.provisioning.mirror.conftest import entry, read, unanswered
from tests.provisioning.work import State, account_in, again

pytestmark = pytest.mark.django_db
Outcome = Attempt.Outcome


def last_look(account: Account) -> str:
    return account.attempts.filter(kind=Attempt.Kind.LOOK_UP).latest("pk").outcome


class TestOurs:
    def test_a_new_entry_with_our_name_and_organization_is_ours(self) -> None:
        read()
        account = unanswered()
        read(entry())

        account = again(account)
        assert (account.state, account.account_id, account.settled_by) == (State.CREATED, "7", "list")
        assert (last_look(account), bool(account.password)) == (Outcome.FOUND, False)

    def test_without_an_earlier_complete_pass_the_organization_decides(self) -> None:
        account = unanswered()
        read(entry())
        assert again(account).account_id == "7"

    @pytest.mark.parametrize("listed", ["ANNA'S BAKERY", "Annas bakery", " Anna\u2019s  Bakery. "])
    def test_organizations_are_compared_without_case_spaces_or_punctuation(self, listed: str) -> None:
        account = unanswered()
        read(entry(organization_name=listed))
        assert again(account).account_id == "7"

    def test_names_are_compared_without_case(self) -> None:
        account = unanswered(username="Anna")
        read(entry(username="aNNA"))
        assert again(account).account_id == "7"

    def test_an_account_is_found_before_the_pass_is_complete(self) -> None:
        account = unanswered()
        read(entry(), next_page="2")
        assert again(account).account_id == "7"

    def test_an_account_waiting_for_staff_is_still_found(self) -> None:
        account = unanswered(due_at=None)
        read(entry())
        assert again(account).account_id == "7"

    def test_a_call_whose_worker_died_counts_as_unanswered(self) -> None:
        account = account_in(State.UNCONFIRMED, username="anna")
        Attempt.objects.create(account=account, kind=Attempt.Kind.CREATE, username="anna")
        read(entry())
        assert again(account).account_id == "7"


class TestOthers:
    def test_an_entry_listed_before_the_call_is_someone_elses(self) -> None:
        """The most important promise: no customer gets someone else's account."""
        read(entry(organization_name="Another Bakery"))
        account = unanswered()
        read(entry(organization_name="Another Bakery"))

        assert (again(account).state, again(account).account_id) == (State.REJECTED, "")
        assert last_look(account) == Outcome.OTHERS
        assert services.is_username_taken(again(account))

    def test_an_earlier_entry_with_our_organization_is_someone_elses(self) -> None:
        read(entry())
        account = unanswered()
        read(entry())
        assert again(account).state == State.REJECTED

    @pytest.mark.parametrize("erased", [False, True])
    def test_an_entry_of_another_account_of_ours_is_not_reused(self, erased: bool) -> None:
        other = account_in(State.CREATED, username="anna", account_id="7")
        if erased:
            services.erase(other)
        else:
            Account.objects.filter(pk=other.pk).update(username="renamed")
        account = unanswered()
        read(entry())

        assert again(account).account_id == ""
        assert again(other).account_id == "7"

    def test_the_customer_can_then_choose_another_username(self) -> None:
        read(entry(organization_name="Another Bakery"))
        account = unanswered()
        read(entry(organization_name="Another Bakery"))
        services.correct(again(account), {"username": "anna-2"})
        assert (again(account).state, again(account).username) == (State.QUEUED, "anna-2")

    def test_an_account_that_is_no_longer_listed_proves_nothing(self) -> None:
        """Its username may have become free before our call."""
        read(entry(organization_name="Another Bakery"))
        account = unanswered()
        read()
        assert again(account).state == State.QUEUED


class TestStaffDecide:
    @pytest.mark.parametrize("was_complete_before", [False, True])
    def test_a_new_entry_with_another_organization_is_for_staff(self, was_complete_before: bool) -> None:
        if was_complete_before:
            read()
        account = unanswered()
        read(entry(organization_name="Another Bakery"))

        assert (again(account).state, again(account).due_at) == (State.UNCONFIRMED, None)
        assert last_look(account) == Outcome.DIFFERS
        assert account in Account.objects.waiting_for_staff()

    def test_staff_can_decide_that_it_is_the_customers(self) -> None:
        account = unanswered()
        read(entry(organization_name="Another Bakery"))
        services.attach(again(account), ListEntry.objects.get())

        account = again(account)
        assert (account.state, account.account_id, account.settled_by) == (State.CREATED, "7", "staff")

    def test_staff_can_decide_that_it_is_someone_elses(self) -> None:
        account = unanswered()
        read(entry(organization_name="Another Bakery"))
        services.reject_username(again(account))

        assert again(account).state == State.REJECTED
        assert services.is_username_taken(again(account))
        services.correct(again(account), {"username": "anna-2"})
        assert again(account).username == "anna-2"

    def test_staff_cannot_attach_another_accounts_entry(self) -> None:
        account_in(State.CREATED, username="other", account_id="7")
        account = unanswered()
        read(entry(organization_name="Another Bakery"))
        with pytest.raises(IllegalMove):
            services.attach(again(account), ListEntry.objects.get())


class TestTwoOfOurs:
    """An entry that either of two sign-ups may have created is matched to neither without staff."""

    def test_an_entry_that_a_closed_sign_up_may_have_created_is_for_staff(self) -> None:
        services.close(unanswered())
        account = unanswered()
        read(entry())
        assert (again(account).state, last_look(account)) == (State.UNCONFIRMED, Outcome.DIFFERS)

    def test_an_entry_of_an_organization_that_two_wait_for_is_for_staff(self, v3: None) -> None:
        Gateway.objects.create(pk=1, list_names=Gateway.ListNames.ORGANIZATION)
        read()
        accounts = [unanswered("anna"), unanswered("berta", "Annas bakery")]
        read(entry(username="Jack Box"))
        assert [last_look(account) for account in accounts] == [Outcome.DIFFERS] * 2

    def test_a_call_after_the_entry_was_listed_did_not_create_it(self, v3: None) -> None:
        Gateway.objects.create(pk=1, list_names=Gateway.ListNames.ORGANIZATION)
        read()
        account = unanswered("anna")
        Account.objects.update(state=State.QUEUED)
        read(entry(username="Jack Box"))
        unanswered("berta")
        assert matching.find(again(account)) == Finding(Verdict.OURS, ListEntry.objects.get())

    def test_a_sign_up_that_got_an_answer_does_not_compete(self, v3: None) -> None:
        Gateway.objects.create(pk=1, list_names=Gateway.ListNames.ORGANIZATION)
        read()
        other, account = unanswered("berta"), unanswered("anna")
        Account.objects.filter(pk=other.pk).update(state=State.CREATED, account_id="8", password=NOTHING)
        read(entry("7", "Jack Box"), entry("8", "Jack Box"))
        assert again(account).account_id == "7"


class TestV3:
    """`site_owner_name` may be the username or a person's name: an account with a known ID shows which."""

    pytestmark = pytest.mark.usefixtures("v3")

    def names(self, of_known: str) -> str:
        account_in(State.CREATED, username="known", account_id="1", settled_by="answer")
        read(entry("1", of_known, "Known Corp"))
        return Gateway.objects.get().list_names

    def test_the_first_answered_account_shows_what_names_the_list_has(self) -> None:
        assert self.names("Known") == Gateway.ListNames.USERNAME

    def test_a_persons_name_is_recognized(self) -> None:
        assert self.names("Jack Box") == Gateway.ListNames.ORGANIZATION

    def test_the_calibration_is_permanent(self) -> None:
        self.names("known")
        read(entry("1", "Jack Box", "Known Corp"))
        assert Gateway.objects.get().list_names == Gateway.ListNames.USERNAME

    @pytest.mark.parametrize("settled_by", ["list", "staff"])
    def test_an_account_found_by_its_name_does_not_calibrate(self, settled_by: str) -> None:
        account_in(State.CREATED, username="known", account_id="1", settled_by=settled_by)
        read(entry("1", "known", "Known Corp"))
        assert Gateway.objects.get().list_names == ""

    def test_before_calibration_absence_proves_nothing(self) -> None:
        account = unanswered()
        read()
        assert (again(account).state, last_look(account)) == (State.UNCONFIRMED, Outcome.UNKNOWN)

    def test_before_calibration_name_and_organization_together_are_proof(self) -> None:
        account = unanswered()
        read(entry())
        assert again(account).account_id == "7"

    def test_before_calibration_the_organization_alone_proves_nothing(self) -> None:
        """The name may be another username, or the customer's own name."""
        read()
        account = unanswered()
        read(entry(username="berta"))
        assert (again(account).state, last_look(account)) == (State.UNCONFIRMED, Outcome.UNKNOWN)

    def test_once_the_list_shows_usernames_absence_is_proof(self) -> None:
        self.names("known")
        account = unanswered()
        read()
        assert again(account).state == State.QUEUED

    def test_with_personal_names_a_new_entry_of_the_organization_is_ours(self) -> None:
        self.names("Jack Box")
        account = unanswered()
        read(entry(username="Anna Jones"))
        assert again(account).account_id == "7"

    def test_with_personal_names_an_older_entry_proves_nothing(self) -> None:
        self.names("Jack Box")
        read(entry(username="Anna Jones"))
        account = unanswered()
        read(entry(username="Anna Jones"))
        assert again(account).state == State.QUEUED

    def test_with_personal_names_two_new_entries_are_for_staff(self) -> None:
        self.names("Jack Box")
        account = unanswered()
        read(entry("7", "Anna Jones"), entry("8", "Bob Jones"), next_page="2")
        assert again(account).state == State.UNCONFIRMED

    def test_with_personal_names_one_that_equals_the_username_proves_nothing(self) -> None:
        self.names("Jack Box")
        unanswered("robert")
        account = unanswered("anna")
        read(entry(username="Anna"))
        assert again(account).account_id == ""

    def test_staff_decide_if_the_entry_may_not_be_new(self) -> None:
        Gateway.objects.create(pk=1, list_names=Gateway.ListNames.ORGANIZATION)
        account = unanswered()
        read(entry(username="Anna Jones"))
        assert (again(account).due_at, last_look(account)) == (None, Outcome.DIFFERS)


class TestKeys:
    @pytest.mark.parametrize(("name", "key"), [(" Anna ", "anna"), ("A.B@C", "a.b@c"), ("x" * 300, "x" * 255)])
    def test_username(self, name: str, key: str) -> None:
        assert name_key(name) == key

    @pytest.mark.parametrize(
        ("name", "key"), [("Anna's Bakery, Inc.", "annasbakeryinc"), ("Straße № 1", "strasseno1"), ("!!!", "!!!")]
    )
    def test_organization(self, name: str, key: str) -> None:
        assert organization_key(name) == key

    def test_organizations_that_differ_in_a_vowel_sign_are_two(self) -> None:
        assert organization_key("कला") != organization_key("किला")


def test_only_the_id_of_an_erased_account_is_kept() -> None:
    account = account_in(State.CREATED, username="anna", account_id="7")
    read(entry())
    services.erase(again(account))
    assert vars_of(ListEntry.objects.get()) == ("7", "", "", "", "")
    read(entry())
    assert vars_of(ListEntry.objects.get()) == ("7", "", "", "", "")


def vars_of(row: Any) -> tuple[str, ...]:
    return row.account_id, row.username, row.organization_name, row.username_key, row.organization_key


def test_related_entries_are_shown_to_staff_side_by_side() -> None:
    account = unanswered()
    read(entry("7", organization_name="Another Bakery"), entry("8", "other"))
    assert [each.account_id for each in matching.related(account)] == ["7"]
