"""A form that is sent again: with the same values, with corrected ones, and for a second account."""

import uuid
from typing import Any

import pytest
from django.conf import settings as configuration
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account, Attempt, MovedMeanwhile
from provisioning.sealed import NOTHING
from signup import abuse
from signup.models import Visit
from tests.signup.accounts import CANARY, TYPED, give

pytestmark = pytest.mark.django_db
MISTYPED = TYPED | {"email": "anna.exmaple@nullmailer.com"}


@pytest.fixture(params=["the same copy of the form", "another copy of the form"])
def sent(request: pytest.FixtureRequest, client: Client) -> dict[str, str]:
    """Send a form, and return its hidden fields for sending it again: with the same one-time ID, or a new one."""
    first = MISTYPED | {"submission": str(uuid.uuid4())}
    assert client.post("/", first).status_code == 302
    again = first["submission"] if request.param.startswith("the same") else str(uuid.uuid4())
    return {"submission": again}


def move(state: str) -> Account:
    """Return the only account, moved to another state."""
    final = {"password": NOTHING} if state in Account.FINAL else {}
    Account.objects.update(state=state, account_id="7" if state == "created" else "", **final)
    return Account.objects.get()


@pytest.mark.parametrize("state", ["held", "queued", "sending", "unconfirmed", "rejected", "created"])
def test_the_same_values_lead_to_the_account(client: Client, sent: dict[str, str], state: str) -> None:
    made = move(state)

    response = client.post("/", MISTYPED | sent)

    assert response.headers["Location"].partition("?")[0] == f"/signup/{made.reference}/"
    assert Account.objects.get().email == MISTYPED["email"]


@pytest.mark.parametrize("state", ["held", "queued"])
def test_a_correction_before_sending_changes_the_account(client: Client, sent: dict[str, str], state: str) -> None:
    move(state)

    page = client.post("/", TYPED | sent, follow=True).content.decode()

    account = Account.objects.get()
    assert (account.state, account.email) == (state, TYPED["email"])
    assert "Changed: Email address." in page


def test_a_new_password_is_a_correction_too(client: Client, sent: dict[str, str]) -> None:
    page = client.post("/", MISTYPED | sent | {"password": "another-horse"}, follow=True).content.decode()

    assert Account.objects.get().password.open() == "another-horse"
    assert "Changed: Password." in page
    assert "another-horse" not in page


def test_a_new_username_is_a_correction_too(client: Client) -> None:
    form = TYPED | {"submission": str(uuid.uuid4())}
    client.post("/", form)

    client.post("/", form | {"username": "anna-smith"})

    assert Account.objects.get().username == "anna-smith"


@pytest.mark.parametrize(
    ("state", "words"),
    [("sending", "is being created"), ("unconfirmed", "is being created"), ("created", "was created")],
)
def test_after_sending_the_page_says_what_was_sent_and_how_to_change_it(
    client: Client, settings: Settings, sent: dict[str, str], state: str, words: str
) -> None:
    settings.BRAND_SUPPORT_URL = "https://help.example.com/"
    made = move(state)

    response = client.post("/", TYPED | sent | {"country_code": "CA", "state_code": "ON", "gdpr_opt_out": "on"})

    page = response.content.decode()
    assert response.status_code == 409
    assert "You have already sent this sign-up" in page
    assert f"Your account {words} with what you sent the first time" in page
    for shown in (
        MISTYPED["email"],
        TYPED["email"],
        "United States",
        "Canada",
        "Massachusetts",
        "Ontario",
        "Yes",
        "No",
    ):
        assert f'<td dir="auto" translate="no">{shown}</td>' in page
    assert f'href="/signup/{made.reference}/"' in page
    assert f'<code translate="no">{made.short_reference}</code>' in page
    assert page.count(f"?reference={made.short_reference}") == 2  # For this question, and below every page.
    assert Account.objects.get().email == MISTYPED["email"]


def test_the_page_says_so_if_a_worker_was_faster(
    client: Client, sent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any, **named: Any) -> None:
        move("sending")
        raise MovedMeanwhile

    monkeypatch.setattr("signup.resubmission.services.change", lose)

    response = client.post("/", TYPED | sent)

    assert response.status_code == 409
    assert "is being created" in response.content.decode()


def test_a_password_that_came_too_late_is_reported_without_showing_it(client: Client, sent: dict[str, str]) -> None:
    move("sending")

    page = client.post("/", MISTYPED | sent | {"password": "another-horse"}).content.decode()

    assert "The one you chose first" in page
    assert "another-horse" not in page
    assert CANARY not in page


def test_after_the_password_is_wiped_the_page_says_which_one_counts(client: Client, sent: dict[str, str]) -> None:
    move("created")

    page = client.post("/", MISTYPED | sent | {"password": "another-horse"}, follow=True).content.decode()

    assert "Your password is the one you chose the first time" in page


def test_a_rejected_account_is_corrected_and_sent_again(client: Client, sent: dict[str, str]) -> None:
    rejected = move("rejected")
    Attempt.objects.create(account=rejected, kind="create", outcome="refused", refused={"email": "No such domain."})

    client.post("/", TYPED | sent)

    assert (Account.objects.get().state, Account.objects.get().email) == ("queued", TYPED["email"])


def test_a_closed_accounts_page_says_that_it_is_closed(client: Client) -> None:
    form = TYPED | {"submission": str(uuid.uuid4())}
    client.post("/", form)
    move("closed")

    page = client.post("/", form | {"phone": "555-555-1234"}, follow=True).content.decode()

    assert "This sign-up has been closed" in page
    assert "password is the one" not in page


def test_another_customers_username_is_refused_at_its_field(client: Client) -> None:
    services.submit(services.prepare(TYPED | {"username": "taken"}, uuid.uuid4()))
    form = TYPED | {"submission": str(uuid.uuid4())}
    client.post("/", form)

    response = client.post("/", form | {"username": "taken"})

    assert response.context["form"].has_error("username", "taken")
    assert Account.objects.filter(username=TYPED["username"]).exists()


def test_corrections_and_their_email_addresses_are_limited(client: Client, settings: Settings) -> None:
    settings.ABUSE_PROTECTION = True
    for number in range(abuse.LIMITS["email"].an_hour):
        Visit.objects.create(key=abuse.key("email", "victim@gmail.com 127.0.0.0/24"), submission=uuid.uuid4())
        services.submit(services.prepare(TYPED | {"username": f"other-{number}"}, uuid.uuid4()))
    made = services.submit(services.prepare(TYPED, uuid.uuid4()))
    give(client, made)

    response = client.post("/", TYPED | {"email": "v.ictim+1@gmail.com"})

    assert response.status_code == 429
    assert Account.objects.get(pk=made.pk).email == TYPED["email"]


class TestASecondAccount:
    @pytest.mark.parametrize(
        "other",
        [
            {},
            {"organization_name": "Other", "phone": "12345"},
            {"email": "ann@nullmailer.com", "phone": "12345"},
            {"organization_name": "Other", "email": "ann@nullmailer.com"},
        ],
        ids=["only the username", "same mailbox", "same business", "same phone"],
    )
    def test_it_is_created_only_after_a_question(self, client: Client, other: dict[str, str]) -> None:
        client.post("/", TYPED)
        second = TYPED | other | {"username": "anna-smith", "submission": str(uuid.uuid4())}

        response = client.post("/", second)

        page = response.content.decode()
        assert Account.objects.count() == 1
        assert f'<a href="/signup/{Account.objects.get().reference}/">{TYPED["username"]}</a>' in page
        assert '<input type="hidden" name="second" value="yes">' in page

        response = client.post("/", second | {"second": "yes"})

        assert response.status_code == 302
        assert Account.objects.count() == 2

    def test_it_needs_no_question_for_another_person_and_business(self, client: Client) -> None:
        client.post("/", TYPED)

        client.post(
            "/",
            TYPED
            | {
                "username": "bert",
                "email": "bert@nullmailer.com",
                "organization_name": "Bert's",
                "phone": "555-555-1234",
            },
        )

        assert Account.objects.count() == 2

    def test_it_needs_no_question_after_a_closed_account(self, client: Client) -> None:
        client.post("/", TYPED)
        move("closed")

        assert client.post("/", TYPED | {"username": "anna-smith"}).status_code == 302

    def test_another_browser_is_not_told_about_it(self, client: Client) -> None:
        Client().post("/", TYPED)

        assert client.post("/", TYPED | {"username": "anna-smith"}).status_code == 302


@pytest.mark.parametrize("language", dict(configuration.LANGUAGES))
def test_a_crafted_link_can_show_only_names_of_fields(client: Client, language: str) -> None:
    with translation.override(language):
        address = client.post("/", TYPED).headers["Location"]

    page = client.get(f"{address}?changed=email,<b>,password2&sent=x").content.decode()

    assert "&lt;b&gt;" not in page
    assert "<b>" not in page
    assert "password2" not in page
