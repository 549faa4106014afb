"""The progress page: what it says in every state, and that only the browser that sent the form sees it."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries, Settings

from provisioning import gateway, search, services
from provisioning.models import Account, Attempt, Gateway, MovedMeanwhile
from signup.models import Mail
from signup.progress import PATIENCE, STAGES
from tests.signup.accounts import CANARY, TYPED, account
from tests.signup.test_views import NAUGHTY

pytestmark = pytest.mark.django_db

State = Account.State
PageOf = Callable[[Account], str]
WAITING = {State.HELD, State.QUEUED, State.SENDING, State.UNCONFIRMED}


def current_step(page: str) -> str:
    (step,) = re.findall('aria-current="step">([^<]+)<', page)
    return str(step)


def test_each_state_has_its_text() -> None:
    assert set(STAGES) == set(State)


@pytest.mark.parametrize("state", State)
def test_the_page_says_what_is_happening(client: Client, page_of: PageOf, state: State) -> None:
    page = client.get(page_of(account(state)))

    assert page.status_code == 200
    assert str(STAGES[state].heading) in page.content.decode()
    assert CANARY not in page.content.decode()


def test_the_final_page_says_where_to_look_for_the_email(client: Client, page_of: PageOf) -> None:
    ready = account(State.CREATED)

    page = client.get(page_of(ready)).content.decode()

    assert "check your spam folder" in page
    assert f'data-copy="{ready.username}" data-done="Copied" aria-label="Copy username"' in page
    assert f'<strong translate="no">{ready.email}</strong>' in page


@pytest.mark.parametrize("state", sorted(WAITING))
def test_the_step_is_creating_only_where_that_is_under_way(client: Client, page_of: PageOf, state: State) -> None:
    page = client.get(page_of(account(state))).content.decode()

    assert current_step(page) == ("Received" if state == State.HELD else "Creating")


@pytest.mark.parametrize(("outcome", "certain"), [("refused", True), ("unknown", False), ("", False)])
def test_a_closed_sign_ups_page_does_not_deny_a_possible_account(
    client: Client, page_of: PageOf, outcome: str, certain: bool
) -> None:
    closed = account(State.CLOSED)
    Attempt.objects.create(account=closed, kind="create", username=closed.username, outcome=outcome)

    page = client.get(page_of(closed)).content.decode()

    assert ("No account was created." in page) == certain
    assert ("before we could find out whether your account was created" in page) != certain


@pytest.mark.parametrize("state", State)
def test_the_page_reloads_only_where_waiting_helps(client: Client, page_of: PageOf, state: State) -> None:
    page = client.get(page_of(account(state))).content.decode()

    assert ('<noscript><meta http-equiv="refresh"' in page) == (state in WAITING)
    assert (f'data-state="{state}"' in page) == (state in WAITING)


@pytest.mark.parametrize("state", State)
def test_the_status_tells_the_state_and_whether_it_is_final(client: Client, page_of: PageOf, state: State) -> None:
    response = client.get(f"{page_of(account(state))}status/")

    assert response.json() == {"state": state, "final": state in {"created", "closed"}, "ask_again_in": 1}


@pytest.mark.parametrize(
    ("waited", "script", "page"), [(0, 1, 3), (9, 2, 3), (62, 15, 15), (602, 150, 150), (100_000, 300, 300)]
)
def test_the_page_asks_less_often_the_longer_a_customer_waits(
    client: Client, page_of: PageOf, waited: int, script: int, page: int
) -> None:
    url = page_of(account("sending", state_changed_at=timezone.now() - timedelta(seconds=waited)))

    assert client.get(f"{url}status/").json()["ask_again_in"] == script
    assert f'<meta http-equiv="refresh" content="{page}">' in client.get(url).content.decode()


def test_a_status_request_reads_two_rows_and_writes_nothing(
    client: Client, page_of: PageOf, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    url = f"{page_of(account('queued'))}status/"

    with django_assert_num_queries(2) as queries:  # The session, and the account.
        client.get(url)

    assert all(query["sql"].startswith("SELECT") for query in queries)


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING])
def test_it_says_so_when_it_takes_long(client: Client, page_of: PageOf, state: State) -> None:
    slow = account(state, state_changed_at=timezone.now() - PATIENCE - timedelta(seconds=1))

    assert "longer than usual" in client.get(page_of(slow)).content.decode()


@pytest.mark.parametrize(("state", "told"), [(State.HELD, True), (State.UNCONFIRMED, True), (State.QUEUED, False)])
def test_a_customer_who_will_get_an_email_is_not_asked_to_wait(
    client: Client, page_of: PageOf, settings: Settings, state: State, told: bool
) -> None:
    waiting = account(state, due_at=timezone.now())
    page = page_of(waiting)
    Mail.objects.create(account=waiting)
    assert ("You can close this page and come back" in client.get(page).content.decode()) is told

    settings.EMAIL_URL = {"EMAIL_BACKEND": settings.EMAIL_BACKEND}

    assert ("You can close this page: we will email you" in client.get(page).content.decode()) is told


HOUR = timedelta(hours=1)


def waiting(state: State, waited: timedelta, due_in: timedelta | None) -> Account:
    now = timezone.now()
    return account(state, state_changed_at=now - waited, due_at=None if due_in is None else now + due_in)


@pytest.mark.parametrize(
    ("state", "waited", "due_in", "told"),
    [
        (State.UNCONFIRMED, 0 * HOUR, HOUR, "This can take a few minutes."),
        (State.UNCONFIRMED, 0.5 * HOUR, 0.8 * HOUR, "We will look for it again in about 47\N{NO-BREAK SPACE}minutes"),
        (State.UNCONFIRMED, 0.5 * HOUR, -HOUR, "We will look for it again in about 1\N{NO-BREAK SPACE}minute,"),
        (State.UNCONFIRMED, 72 * HOUR, HOUR, "One of us is checking your sign-up"),
        (State.UNCONFIRMED, 0 * HOUR, None, "One of us is checking your sign-up"),
        (State.QUEUED, 0 * HOUR, None, "One of us is checking your sign-up"),
        (State.QUEUED, 72 * HOUR, HOUR, "This is taking longer than usual"),
    ],
)
def test_each_situation_has_one_honest_text(
    client: Client, page_of: PageOf, state: State, waited: timedelta, due_in: timedelta | None, told: str
) -> None:
    page = client.get(page_of(waiting(state, waited, due_in))).content.decode()

    texts = ("a few minutes", "We will look for it again", "One of us is checking", "is taking longer than usual")
    assert told in page
    assert len([text for text in texts if text in page]) == 1
    assert "Leave this page open" not in page


def test_the_page_names_the_day_by_which_to_correct(client: Client, page_of: PageOf) -> None:
    closes_at = datetime(2036, 5, 14, 12, tzinfo=UTC)

    page = client.get(page_of(account(State.REJECTED, {"phone": "No."}, due_at=closes_at))).content.decode()

    assert escape("If you don't send it before May 14, 2036, we will close your sign-up.") in page or (
        "If you don't send it before May 14, 2036, we will close your sign-up." in page
    )


def test_it_says_when_sending_resumes_after_the_daily_quota(client: Client, page_of: PageOf) -> None:
    page = page_of(account(State.QUEUED))
    Gateway.objects.update_or_create(pk=1, defaults={"paused_until": timezone.now() + timedelta(hours=5, minutes=1)})

    told = client.get(page).content.decode()

    assert "You are in the queue" in told
    assert "in about 5\N{NO-BREAK SPACE}hours" in told
    assert current_step(told) == "Received"


def test_a_pause_of_a_second_is_not_mentioned(client: Client, page_of: PageOf) -> None:
    page = page_of(account(State.QUEUED))
    Gateway.objects.update_or_create(pk=1, defaults={"paused_until": timezone.now() + timedelta(milliseconds=900)})

    assert "longer than usual" not in client.get(page).content.decode()


def test_it_says_so_at_once_while_nothing_is_sent(client: Client, page_of: PageOf) -> None:
    page = page_of(account(State.QUEUED))
    gateway.stop("401 canary")

    told = client.get(page).content.decode()

    assert "longer than usual" in told
    assert "canary" not in told


def test_the_final_page_has_username_login_and_next_steps(client: Client, page_of: PageOf) -> None:
    page = client.get(page_of(account(State.CREATED, username="anna"))).content.decode()

    for told in ("anna", "https://login.constantcontact.com", "Verify your email address", "60 days"):
        assert told in page


@pytest.mark.parametrize("path", ["", "status/"])
@pytest.mark.parametrize("known", [True, False])
def test_a_stranger_with_the_link_cannot_tell_whether_it_is_valid(client: Client, path: str, known: bool) -> None:
    reference = account(State.CREATED).reference if known else uuid.uuid4()

    response = client.get(f"/signup/{reference}/{path}")

    assert response.status_code == 404
    assert 'href="/"' in response.content.decode()
    assert "anna" not in response.content.decode()


def test_a_stranger_cannot_correct(client: Client) -> None:
    rejected = account(State.REJECTED, {"username": "It is taken."})

    assert client.post(f"/signup/{rejected.reference}/", {"username": "mallory"}).status_code == 404
    assert Account.objects.get().state == State.REJECTED


def test_two_sign_ups_of_one_browser_keep_both_pages(client: Client, page_of: PageOf) -> None:
    pages = [page_of(account(State.QUEUED)), page_of(account(State.QUEUED))]

    assert [client.get(page).status_code for page in pages] == [200, 200]


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
        assert "Needs you" not in page
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

        assert '<li class="current waiting" aria-current="step">Needs you</li>' in page
        assert "Creating" not in page

    def test_a_sign_up_without_refused_values_cannot_be_sent_unchanged(self, client: Client, page_of: PageOf) -> None:
        client.post(page_of(account(State.REJECTED, {})), {})

        assert Account.objects.get().state == State.REJECTED
