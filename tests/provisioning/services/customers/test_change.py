"""Values can be changed until they are sent."""

import uuid

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from pytest_django import Settings

from provisioning import rules, services
from provisioning.models import Account, Attempt, IllegalMove, MovedMeanwhile
from provisioning.sandbox import Server
from provisioning.sealed import NOTHING
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import NAME, State, account_in, again, sign_up, work

pytestmark = pytest.mark.django_db


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
