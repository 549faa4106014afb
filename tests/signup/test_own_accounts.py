"""A browser opens the pages of its own accounts, by a signed cookie that needs no session."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup.emails.links import link_to
from signup.own_accounts import MAX_OPENED, MAX_SENT
from tests.provisioning.work import again
from tests.signup.accounts import TYPED, account, give

pytestmark = pytest.mark.django_db

NAME = "__Host-accounts"


def may_open(client: Client, page: str) -> bool:
    return client.get(page).status_code == 200


def test_a_sign_up_opens_its_page_without_a_session(client: Client) -> None:
    page = client.post("/", TYPED).headers["Location"]

    assert may_open(client, page)
    assert not may_open(Client(), page)
    assert not Session.objects.exists()


def test_every_sign_up_of_a_browser_can_be_opened(client: Client) -> None:
    forms = [TYPED | {"username": name, "second": "yes"} for name in ("anna.1", "anna.2")]
    pages = [client.post("/", form).headers["Location"] for form in forms]

    assert all(may_open(client, page) for page in pages)


@pytest.mark.parametrize("spoil", [str.swapcase, lambda value: value[36:], lambda value: "", lambda value: "é" + value])
def test_a_forged_cookie_opens_nothing(client: Client, spoil: object) -> None:
    page = client.post("/", TYPED).headers["Location"]
    client.cookies[NAME] = spoil(client.cookies[NAME].value)  # type: ignore[operator]

    assert not may_open(client, page)


def test_a_cookie_of_another_account_opens_nothing(client: Client) -> None:
    page = Client().post("/", TYPED).headers["Location"]
    give(client, account("created"))

    assert not may_open(client, page)


def test_a_cookie_ends_with_the_age_of_sessions(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = client.post("/", TYPED).headers["Location"]
    later = (timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE + 1)).timestamp()
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)

    assert not may_open(client, page)


class TestAnAccountOpenedFromAnEmail:
    @pytest.fixture
    def opened(self, client: Client) -> Account:
        """Return somebody else's account, which this browser was led to open."""
        opened = account("rejected", username="anna@example.com", email="thief@example.org")
        assert client.get(link_to(opened, "/")).status_code == 302
        return opened

    def test_can_be_opened_again(self, client: Client, opened: Account) -> None:
        assert may_open(client, f"/signup/{opened.reference}/")

    def test_takes_nothing_from_a_form_with_its_username(self, client: Client, opened: Account) -> None:
        answer = client.post("/", TYPED | {"username": opened.username, "first_name": "Maria"})

        assert "username_error" in answer.content.decode()
        assert again(opened).first_name == opened.first_name

    def test_is_not_taken_for_what_this_browser_sent(self, client: Client, opened: Account) -> None:
        answer = client.post("/", TYPED | {"organization_name": opened.organization_name})

        assert answer.status_code == 302

    def test_stays_sent_if_this_browser_sent_it(self, client: Client) -> None:
        client.post("/", TYPED)
        sent = Account.objects.get()
        client.get(link_to(sent, "/"))

        assert client.post("/", TYPED | {"first_name": "Maria"}).headers["Location"].endswith("?changed=first_name")


class TestAnAccountWhoseAddressWasWrong:
    """A browser that opened it from the email to the wrong address loses it. Nobody else does."""

    @pytest.fixture
    def sent(self, client: Client) -> Account:
        """Return a sign-up with a wrong address that Constant Contact refused."""
        client.post("/", TYPED | {"email": "stranger@example.org"})
        rejected = Account.objects.get()
        Account.objects.update(state="rejected")
        rejected.attempts.create(kind="create", outcome="refused", status=400, refused={"email": "It is blocked."})
        return again(rejected)

    @pytest.fixture
    def stranger(self, sent: Account) -> Client:
        stranger = Client()
        stranger.get(link_to(sent, "/"))
        assert may_open(stranger, page_of(sent))
        return stranger

    def test_once_the_customer_corrects_it(self, client: Client, sent: Account, stranger: Client) -> None:
        client.post(page_of(sent), {"email": "anna@example.org"})

        assert may_open(client, page_of(sent))
        assert not may_open(stranger, page_of(sent))
        assert stranger.get(f"{page_of(sent)}status/").status_code == 404

    def test_once_the_customer_changes_it_before_it_is_sent(
        self, client: Client, sent: Account, stranger: Client
    ) -> None:
        Account.objects.update(state="queued")
        client.post(f"{page_of(sent)}?change=email", {"email": "anna@example.org"})

        assert again(sent).email == "anna@example.org"
        assert may_open(client, page_of(sent))
        assert not may_open(stranger, page_of(sent))

    def test_once_staff_correct_it(self, client: Client, sent: Account, stranger: Client) -> None:
        services.correct(sent, {"email": "anna@example.org"}, agent="staff")

        assert may_open(client, page_of(sent))
        assert not may_open(stranger, page_of(sent))
        stranger.get(link_to(again(sent), "/"))  # Whoever gets the next email, gets in.
        assert may_open(stranger, page_of(sent))

    def test_not_while_it_is_the_same_mailbox(self, sent: Account, stranger: Client) -> None:
        services.correct(sent, {"email": "Stranger+news@example.org"}, agent="staff")

        assert may_open(stranger, page_of(sent))

    @pytest.mark.parametrize(("state", "query"), [("rejected", ""), ("queued", "?change=email")])
    def test_not_if_that_browser_itself_corrected_it(self, sent: Account, state: str, query: str) -> None:
        Account.objects.update(state=state)
        phone, computer = Client(), Client()
        for browser in (phone, computer):
            browser.get(link_to(sent, "/"))

        assert phone.post(page_of(sent) + query, {"email": "anna@example.org"}).status_code == 302

        assert may_open(phone, page_of(sent))
        assert not may_open(computer, page_of(sent))

    def test_not_for_the_news_that_its_data_was_erased(self, sent: Account, stranger: Client) -> None:
        services.close(sent)
        services.erase(again(sent))

        assert "We have erased your data" in stranger.get(page_of(sent)).text


def page_of(account: Account) -> str:
    return f"/signup/{account.reference}/"


def another(account: Account, number: int) -> Account:
    """Return the account under another reference."""
    account.reference = UUID(int=number)
    return account


def test_the_cookie_stays_small_enough_for_browsers(client: Client) -> None:
    made = account("created")
    for number in range(MAX_SENT + 1):
        give(client, another(made, number))
    for number in range(MAX_OPENED + 1):
        give(client, another(made, 100 + number), opened_from=made.email)

    assert len(str(client.cookies[NAME])) < 4096
    assert client.cookies[NAME].value.startswith("00000000-0000-0000-0000-000000000001.")


def test_opening_others_pushes_out_none_that_this_browser_sent(client: Client) -> None:
    page = client.post("/", TYPED).headers["Location"]
    made = account("created", username="other")
    for number in range(MAX_SENT + MAX_OPENED):
        give(client, another(made, number), opened_from=made.email)

    assert may_open(client, page)


def test_an_account_that_was_just_opened_can_be_opened(client: Client) -> None:
    made = account("created")
    for number in range(MAX_SENT):
        give(client, another(made, number))
    opened = account("created", username="other")
    client.get(link_to(opened, "/"))

    assert may_open(client, page_of(opened))


def test_accounts_in_the_session_of_an_earlier_release_can_be_opened(client: Client) -> None:
    session = client.session
    session["accounts"] = [str(account("created", username="before").reference)]
    session.save()
    page = client.post("/", TYPED | {"second": "yes"}).headers["Location"]

    assert may_open(client, f"/signup/{session['accounts'][0]}/")
    assert may_open(client, page)
