"""The progress page of a refused sign-up asks for a correction."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils.html import escape
from pytest_django import Settings

from provisioning import search, services
from provisioning.models import Account, MovedMeanwhile
from tests.signup.accounts import CANARY, TYPED, account
from tests.signup.test_views import NAUGHTY

pytestmark = pytest.mark.django_db

State = Account.State
PageOf = Callable[[Account], str]


class TestRejected:
    def test_the_page_asks_only_for_what_was_refused(self, client: Client, page_of: PageOf) -> None:
        page = client.get(page_of(account(State.REJECTED, {"email": "It is blocked."}))).content.decode()

        assert '<a href="#id_email">Email address: Constant Contact does not accept this email address.</a>' in page
        assert "It is blocked." not in page
        assert 'name="username"' not in page
        assert 'name="password"' not in page

    def test_a_correction_is_sent_and_redirects_to_the_page(self, client: Client, page_of: PageOf) -> None:
        page = page_of(account(State.REJECTED, {"username": "It is taken."}))

        response = client.post(page, {"username": "anna.bakery"})

        corrected = Account.objects.get()
        assert response.headers["Location"] == page
        assert (corrected.state, corrected.username) == (State.QUEUED, "anna.bakery")
        assert corrected.password.open() == CANARY

    @pytest.mark.parametrize(
        ("refused", "sent"),
        [
            ({"phone": "Bad."}, {"phone": TYPED["phone"]}),
            ({"password": "Weak."}, {"password": CANARY, "insist": "yes"}),
            ({"phone": "Bad.", "email": "Bad."}, {"phone": TYPED["phone"], "email": TYPED["email"]}),
        ],
        ids=str,
    )
    def test_a_refused_value_is_not_sent_again_unchanged(
        self, client: Client, page_of: PageOf, refused: dict[str, str], sent: dict[str, str]
    ) -> None:
        page = client.post(page_of(account(State.REJECTED, refused)), sent).content.decode()

        assert "Nothing has changed, so Constant Contact would refuse it again." in page
        assert Account.objects.get().state == State.REJECTED

    def test_an_invalid_correction_is_asked_for_again(self, client: Client, page_of: PageOf) -> None:
        response = client.post(page_of(account(State.REJECTED, {"username": "No."})), {"username": "Anna!"})

        assert list(response.context["form"].errors) == ["username"]
        assert 'value="Anna!"' in response.content.decode()
        assert Account.objects.get().state == State.REJECTED

    @pytest.mark.parametrize("value", NAUGHTY, ids=lambda value: repr(value)[:24])
    def test_a_naughty_correction_gives_a_problem_or_is_sent(self, client: Client, page_of: PageOf, value: Any) -> None:
        page = page_of(account(State.REJECTED, {"organization_name": "No."}))
        body = urlencode({"organization_name": value})

        response = client.post(page, body, content_type="application/x-www-form-urlencoded")

        assert (response.status_code, Account.objects.get().state) in {(200, State.REJECTED), (302, State.QUEUED)}

    def test_another_accounts_username_is_refused_at_its_field(self, client: Client, page_of: PageOf) -> None:
        account(State.QUEUED, username="bob")
        page = page_of(account(State.REJECTED, {"username": "It is taken."}))

        assert list(client.post(page, {"username": "bob"}).context["form"].errors) == ["username"]

    def test_a_taken_username_is_explained_and_comes_with_suggestions(self, client: Client, page_of: PageOf) -> None:
        account(State.QUEUED, username="anna.jones")
        page = page_of(account(State.REJECTED, {"username": "Gone"}, outcome="taken", username="annas-bakery"))

        told = client.get(page)
        client.post(page, {"username": told.context["form"].suggestions()[0]})

        assert "This username is taken. Choose another one." in told.content.decode()
        assert "Gone" not in told.content.decode()
        assert '<button name="username" value="annas-bakery2" translate="no">' in told.content.decode()
        assert 'value="anna.jones"' not in told.content.decode()
        assert Account.objects.filter(state=State.QUEUED, username="annas-bakery2").exists()

    def test_suggestions_stay_when_the_next_username_is_invalid(self, client: Client, page_of: PageOf) -> None:
        page = page_of(account(State.REJECTED, {"username": "Gone"}, outcome="taken", username="annas-bakery"))

        told = client.post(page, {"username": "Ånna!"}).content.decode()

        assert "This username is taken" not in told
        assert '<button name="username" value="anna.jones" translate="no">' in told

    def test_an_invalid_form_does_not_reveal_whether_a_username_exists(self, client: Client, page_of: PageOf) -> None:
        account(State.QUEUED, username="somebody")
        page = page_of(account(State.REJECTED, {"username": "Gone", "email": "No."}, outcome="taken", username="anna"))

        offered = [
            client.post(page, {"username": name, "organization_name": name, "email": "wrong"})
            .context["form"]
            .suggestions()
            for name in ("somebody", "nobody")
        ]

        assert offered[0] == offered[1]

    def test_a_username_refused_for_another_reason_has_no_suggestions(self, client: Client, page_of: PageOf) -> None:
        page = client.get(page_of(account(State.REJECTED, {"username": "Reserved."}))).content.decode()

        assert 'class="suggestions"' not in page

    def test_only_refused_values_can_be_changed(self, client: Client, page_of: PageOf) -> None:
        page = page_of(account(State.REJECTED, {"username": "It is taken."}, email="anna@example.com"))

        client.post(page, {"username": "anna.bakery", "email": "mallory@example.com", "state": "created"})

        assert Account.objects.get().email == "anna@example.com"

    def test_a_correction_that_loses_a_race_shows_the_current_page(
        self, client: Client, page_of: PageOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def moved(*_: object, **named: object) -> None:
            raise MovedMeanwhile

        page = page_of(account(State.REJECTED, {"username": "It is taken."}))
        monkeypatch.setattr(services, "correct", moved)

        assert client.post(page, {"username": "anna.bakery"}).headers["Location"] == page

    @pytest.mark.parametrize("state", [State.QUEUED, State.CREATED, State.CLOSED])
    def test_a_correction_that_comes_too_late_changes_nothing(
        self, client: Client, page_of: PageOf, state: State
    ) -> None:
        page = page_of(account(state, username="anna"))

        assert client.post(page, {"username": "bob"}).headers["Location"] == page
        assert Account.objects.get().username == "anna"

    def test_a_refusal_that_customers_cannot_correct_leads_to_support(
        self, client: Client, page_of: PageOf, settings: Settings
    ) -> None:
        settings.BRAND_SUPPORT_EMAIL = "help@example.com"
        rejected = account(State.REJECTED, {"billing_locale": "No."})

        page = client.get(page_of(rejected)).content.decode()

        assert "We need to fix something" in page
        assert "Your turn" not in page
        assert 'name="submission"' not in page
        assert "Send again" not in page
        assert f'<code translate="no">{rejected.short_reference}</code>' in page
        assert f"mailto:help@example.com?subject=Reference%20{rejected.short_reference}" in page

    @pytest.mark.parametrize("address", ["https://help.example.com/", "https://help.example.com/?topic=sign-up&x="])
    def test_the_support_link_has_the_reference(
        self, client: Client, page_of: PageOf, settings: Settings, address: str
    ) -> None:
        settings.BRAND_SUPPORT_URL = address
        rejected = account(State.REJECTED, {"billing_locale": "No."})

        page = client.get(page_of(rejected)).content.decode()

        passed_on = f"{address}{'&' if '?' in address else '?'}reference={rejected.short_reference}"
        assert page.count(f'href="{escape(passed_on)}"') == 2

    def test_the_short_reference_finds_the_account(self) -> None:
        rejected = account(State.REJECTED, {})

        assert list(search.matching(Account.objects.all(), rejected.short_reference)) == [rejected]
        assert len(rejected.short_reference) == 9

    def test_the_step_that_needs_the_customer_is_marked(self, client: Client, page_of: PageOf) -> None:
        page = client.get(page_of(account(State.REJECTED, {"email": "No."}))).content.decode()

        assert '<li class="current waiting" aria-current="step">Your turn</li>' in page
        assert "Creating" not in page

    def test_a_sign_up_without_refused_values_cannot_be_sent_unchanged(self, client: Client, page_of: PageOf) -> None:
        client.post(page_of(account(State.REJECTED, {})), {})

        assert Account.objects.get().state == State.REJECTED
