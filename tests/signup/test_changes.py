"""What customers can change in a sign-up that waits, was refused without a reason, or has a mistyped address."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Account
from signup import emails
from signup.models import Mail
from tests.provisioning.cases import MEANT, PASTED
from tests.signup.accounts import CANARY, TYPED, account

pytestmark = pytest.mark.django_db
PageOf = Callable[[Account], str]


class TestWaiting:
    @pytest.mark.parametrize("state", ["held", "queued"])
    def test_the_page_leads_to_a_form_with_everything_but_the_password(
        self, client: Client, page_of: PageOf, state: str
    ) -> None:
        address = page_of(account(state))
        assert '<a href="?change=email">Wrong address?</a>' in client.get(address).content.decode()

        page = client.get(f"{address}?change=all").content.decode()

        assert 'name="organization_name"' in page
        assert 'name="password"' not in page
        assert "The page moves on" not in page
        assert "data-status" not in page
        assert "http-equiv" not in page

    def test_the_entered_changes_are_stored(self, client: Client, page_of: PageOf) -> None:
        waiting = account("held")
        address = page_of(waiting)

        response = client.post(f"{address}?change=email", {"email": "ann@nullmailer.com"})

        assert response.headers["Location"] == f"{address}?changed=email"
        waiting.refresh_from_db()
        assert (waiting.email, waiting.phone, waiting.password.open()) == ("ann@nullmailer.com", TYPED["phone"], CANARY)

    def test_pasted_values_are_stored_as_they_are_meant(self, client: Client, page_of: PageOf) -> None:
        waiting = account("queued")
        client.post(f"{page_of(waiting)}?change=all", TYPED | PASTED)

        assert Account.objects.values(*MEANT).get() == MEANT

    def test_an_invalid_value_is_reported_at_its_field(self, client: Client, page_of: PageOf) -> None:
        response = client.post(f"{page_of(account('held'))}?change=email", {"email": "ann@"})

        assert list(response.context["form"].errors) == ["email"]

    def test_a_form_without_changes_changes_nothing(self, client: Client, page_of: PageOf) -> None:
        address = page_of(account("held"))

        assert client.post(f"{address}?change=email", {"email": TYPED["email"]}).headers["Location"] == address

    @pytest.mark.parametrize("wanted", ["country_code", "password", "state", "x" * 5000])
    def test_an_unknown_field_name_gives_the_whole_form(self, client: Client, page_of: PageOf, wanted: str) -> None:
        response = client.get(page_of(account("held")), {"change": wanted})

        assert "phone" in response.context["form"].fields
        assert "password" not in response.context["form"].fields

    @pytest.mark.parametrize("state", ["sending", "unconfirmed", "created", "closed"])
    def test_nothing_can_be_changed_after_sending(self, client: Client, page_of: PageOf, state: str) -> None:
        sent = account(state)
        address = page_of(sent)

        page = client.get(f"{address}?change=all").content.decode()
        client.post(f"{address}?change=email", {"email": "ann@nullmailer.com"})

        assert "?change=" not in page
        assert 'name="email"' not in page
        sent.refresh_from_db()
        assert sent.email == TYPED["email"]


class TestRefusedWithoutAReason:
    def test_everything_can_be_checked_and_sent_again(self, client: Client, page_of: PageOf) -> None:
        rejected = account("rejected", {})
        address = page_of(rejected)

        page = client.get(address).content.decode()
        assert "did not say which answer it refused" in page
        assert "Leave this empty to keep the one you chose." in page
        assert "Send again" in page

        client.post(address, TYPED | {"phone": "555-555-1234", "password": ""})

        rejected.refresh_from_db()
        assert (rejected.state, rejected.phone, rejected.password.open()) == ("queued", "555-555-1234", CANARY)

    def test_another_mistake_asks_for_the_password_again(self, client: Client, page_of: PageOf) -> None:
        address = page_of(account("rejected", {}))

        response = client.post(address, TYPED | {"phone": "1", "password": "another-horse"})

        assert response.context["form"].errors["password"] == ["Enter your password again."]

    def test_a_new_password_can_be_chosen(self, client: Client, page_of: PageOf) -> None:
        rejected = account("rejected", {})

        client.post(page_of(rejected), TYPED | {"password": "another-horse"})

        rejected.refresh_from_db()
        assert rejected.password.open() == "another-horse"


class TestMistypedEmailAddress:
    TYPO = "anna@gmial.con"

    def test_it_never_stops_a_sign_up(self, client: Client) -> None:
        assert client.post("/", TYPED | {"email": self.TYPO}).status_code == 302

    def test_a_form_that_comes_back_suggests_the_likely_address(self, client: Client) -> None:
        form = TYPED | {"email": self.TYPO, "phone": "1", "submission": str(uuid.uuid4())}

        page = client.post("/", form).content.decode()
        assert '<button name="email" value="anna@gmail.com"' in page

        client.post("/", form | {"phone": "12345", "email": [self.TYPO, "anna@gmail.com"]})
        assert Account.objects.get().email == "anna@gmail.com"

    def test_one_click_on_the_waiting_page_corrects_it(self, client: Client, page_of: PageOf) -> None:
        waiting = account("queued", email=self.TYPO)
        address = page_of(waiting)
        assert '<button name="email" value="anna@gmail.com"' in client.get(address).content.decode()

        page = client.post(f"{address}?change=email", {"email": "anna@gmail.com"}, follow=True).content.decode()

        assert "Changed: Email address." in page
        assert "Did you mean" not in page

    def test_the_final_page_says_what_to_do(self, client: Client, page_of: PageOf) -> None:
        page = client.get(page_of(account("created", email=self.TYPO))).content.decode()

        assert 'Did you mean <strong translate="no">anna@gmail.com</strong>?' in page
        assert "correct the address there" in page

    def test_any_other_address_can_be_corrected_but_none_is_suggested(self, client: Client, page_of: PageOf) -> None:
        for state in ("queued", "created"):
            page = client.get(page_of(account(state))).content.decode()
            assert "Did you mean" not in page
            assert ("Wrong email address?" if state == "created" else "Wrong address?") in page


class TestTheSamePersonInAnotherBrowser:
    @pytest.fixture(autouse=True)
    def with_emails(self, settings: Settings) -> None:
        settings.EMAIL_URL = {"EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend"}

    @pytest.fixture
    def mine(self) -> Account:
        mine = account("created", username=TYPED["username"])
        Mail.objects.create(account=mine, origin="https://signup.example.com/", event="created", sent_at=timezone.now())
        return mine

    def page(self, client: Client, **typed: Any) -> str:
        return str(client.post("/", TYPED | typed | {"submission": "x"}).content.decode())

    def test_a_link_to_the_account_is_offered_for_a_taken_username(self, client: Client, mine: Account) -> None:
        page = self.page(client)

        assert 'Is this you? <a href="https://login.constantcontact.com">Log in to Constant Contact</a>' in page
        assert "we have just sent you a link" in page

    @pytest.mark.parametrize("spelled", ["{}", " {}.", "Anna <{}>", "mailto:{}"])
    def test_the_link_is_sent_to_the_address_on_file(self, client: Client, mine: Account, spelled: str) -> None:
        self.page(client, username=f"\u200b {mine.username.upper()}", email=spelled.format(TYPED["email"].upper()))
        emails.send_due()

        (message,) = mail.outbox
        assert message.to == [mine.email]
        assert "/signup/open/?token=" in message.body

    def test_another_address_gets_no_link_and_the_page_does_not_say_so(self, client: Client, mine: Account) -> None:
        known, unknown = self.page(client), self.page(client, email="other@nullmailer.com")
        Mail.objects.update(due_at=None)
        self.page(client, email="other@nullmailer.com")
        emails.send_due()

        assert not mail.outbox
        assert ("we have just sent" in known) == ("we have just sent" in unknown)

    def test_a_mailbox_is_not_flooded(self, client: Client, mine: Account) -> None:
        for _ in range(5):
            self.page(client)
            emails.send_due()
            Mail.objects.update(due_at=timezone.now() - timedelta(minutes=1))
        emails.send_due()

        assert len(mail.outbox) == 1

    def test_without_a_mail_server_no_email_is_mentioned(
        self, client: Client, mine: Account, settings: Settings
    ) -> None:
        settings.EMAIL_URL = {}

        page = self.page(client)

        assert "Is this you?" in page
        assert "sent you a link" not in page

    def test_a_free_username_offers_no_link(self, client: Client) -> None:
        assert "Is this you?" not in self.page(client, phone="1")


class TestAnotherLanguage:
    """The language is changed while a form on the account's page is being filled in."""

    def test_typed_changes_are_kept_and_not_validated(self, client: Client, page_of: PageOf) -> None:
        address = f"{page_of(account('queued'))}?change=all"
        assert f'form="sign-up" formaction="{address}"' in client.get(address).content.decode()

        response = client.post(address, TYPED | {"phone": "1", "language": "fr"})

        page = response.content.decode()
        assert response.context["form"]["phone"].value() == "1"
        assert not response.context["form"].errors
        assert "Numéro de téléphone" in page
        assert client.cookies["__Host-language"].value == "fr"
        assert Account.objects.get().phone == TYPED["phone"]

    def test_a_correction_still_shows_the_refusal(self, client: Client, page_of: PageOf) -> None:
        address = page_of(account("rejected", {"email": "No.", "password": "No."}))

        response = client.post(address, {"email": "ann@example.com", "password": "x", "language": "es"})

        form = response.context["form"]
        assert form["email"].value() == "ann@example.com"
        assert form.errors.keys() == {"email", "password"}
        assert "Constant Contact no acepta" in response.content.decode()

    def test_a_password_has_to_be_entered_again(self, client: Client, page_of: PageOf) -> None:
        address = page_of(account("rejected", {}))

        page = client.post(address, TYPED | {"password": "another-horse", "language": "fr"}).content.decode()

        assert "Saisissez à nouveau votre mot de passe." in page

    def test_an_unknown_language_changes_nothing(self, client: Client, page_of: PageOf) -> None:
        sent = account("queued")

        client.post(f"{page_of(sent)}?change=email", {"email": "ann@example.com", "language": "xx"})

        sent.refresh_from_db()
        assert sent.email == TYPED["email"]


def test_no_link_discards_a_change(client: Client, page_of: PageOf) -> None:
    address = page_of(account("queued"))

    assert 'class="brand" href="/"' in client.get(address).content.decode()
    assert 'class="brand" href="/"' not in client.get(f"{address}?change=all").content.decode()
