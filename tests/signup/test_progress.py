"""The progress page: what it says in every state, and that only the browser that sent the form sees it."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries, Settings

from provisioning import gateway, services
from provisioning.models import Account, Attempt, Gateway
from signup.models import Mail
from signup.progress import PATIENCE, STAGES
from tests.signup.accounts import CANARY, TYPED, account

pytestmark = [pytest.mark.django_db, pytest.mark.once]

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
    assert f'<dd><span translate="no">{ready.username}</span>' in page
    assert f'data-copy="{ready.username}" data-done="Copied" aria-label="Copy username"' in page
    assert f'<strong translate="no">{ready.email}</strong>' in page


@pytest.mark.parametrize("state", sorted(WAITING))
def test_the_step_is_creating_only_while_an_account_is_being_created(
    client: Client, page_of: PageOf, state: State
) -> None:
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
    assert ("before we knew whether your account was created" in page) != certain


@pytest.mark.parametrize("state", State)
def test_the_page_reloads_only_where_waiting_helps(client: Client, page_of: PageOf, state: State) -> None:
    page = client.get(page_of(account(state))).content.decode()

    assert ('<noscript><meta http-equiv="refresh"' in page) == (state in WAITING)
    assert (f'data-state="{state}"' in page) == (state in WAITING)


@pytest.mark.parametrize("state", State)
def test_the_status_tells_the_state_and_whether_it_is_final(client: Client, page_of: PageOf, state: State) -> None:
    told = client.get(f"{page_of(account(state))}status/").json()

    assert (told["state"], told["final"]) == (state, state in {"created", "closed"})


@pytest.mark.parametrize(("state", "seconds"), [("queued", 1), ("sending", 1), ("unconfirmed", 1), ("held", 30)])
def test_the_page_of_a_held_account_asks_less_often(
    client: Client, page_of: PageOf, state: State, seconds: int
) -> None:
    assert client.get(f"{page_of(account(state))}status/").json()["ask_again_in"] == seconds


@pytest.mark.parametrize(
    ("waited", "script", "page"), [(0, 1, 3), (9, 2, 3), (62, 15, 15), (602, 150, 150), (100_000, 300, 300)]
)
def test_the_page_asks_less_often_the_longer_a_customer_waits(
    client: Client, page_of: PageOf, waited: int, script: int, page: int
) -> None:
    url = page_of(account("sending", state_changed_at=timezone.now() - timedelta(seconds=waited)))

    assert client.get(f"{url}status/").json()["ask_again_in"] == script
    assert f'<meta http-equiv="refresh" content="{page}">' in client.get(url).content.decode()


def test_a_status_request_reads_one_row_and_writes_nothing(
    client: Client, page_of: PageOf, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    url = f"{page_of(account('queued'))}status/"

    with django_assert_num_queries(1) as queries:
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
        (State.UNCONFIRMED, 0.5 * HOUR, 0.8 * HOUR, "We will check again in about 47\N{NO-BREAK SPACE}minutes"),
        (State.UNCONFIRMED, 0.5 * HOUR, -HOUR, "We will check again in about 1\N{NO-BREAK SPACE}minute before"),
        (State.UNCONFIRMED, 72 * HOUR, HOUR, "Our team is checking your sign-up"),
        (State.UNCONFIRMED, 0 * HOUR, None, "Our team is checking your sign-up"),
        (State.QUEUED, 0 * HOUR, None, "Our team is checking your sign-up"),
        (State.QUEUED, 72 * HOUR, HOUR, "This is taking longer than usual"),
    ],
)
def test_each_situation_has_one_honest_text(
    client: Client, page_of: PageOf, state: State, waited: timedelta, due_in: timedelta | None, told: str
) -> None:
    page = client.get(page_of(waiting(state, waited, due_in))).content.decode()

    texts = ("a few minutes", "We will check again", "Our team is checking", "is taking longer than usual")
    assert told in page
    assert len([text for text in texts if text in page]) == 1
    assert "Leave this page open" not in page


def test_the_page_names_the_day_by_which_to_correct(client: Client, page_of: PageOf) -> None:
    closes_at = datetime(2036, 5, 14, 12, tzinfo=UTC)

    page = client.get(page_of(account(State.REJECTED, {"phone": "No."}, due_at=closes_at))).content.decode()

    assert escape("If you don't send it before May 14, 2036, we will close your sign-up.") in page or (
        "If you don't send it before May 14, 2036, we will close your sign-up." in page
    )


def set_gateway(**values: object) -> None:
    Gateway.objects.update_or_create(pk=1, defaults=values)


def test_it_says_when_sending_resumes_after_a_pause(client: Client, page_of: PageOf) -> None:
    page = page_of(account(State.QUEUED))
    set_gateway(paused_until=timezone.now() + timedelta(hours=5, minutes=1))

    told = client.get(page).content.decode()

    assert "You are in line" in told
    assert "in about 5\N{NO-BREAK SPACE}hours" in told
    assert current_step(told) == "Received"


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0, "This takes a few seconds."),
        (100, "This takes a few seconds."),
        (1210, "Yours will be created in about 5\N{NO-BREAK SPACE}minutes."),
    ],
)
def test_with_many_ahead_it_says_about_how_long_it_takes(
    client: Client, page_of: PageOf, ahead: int, told: str
) -> None:
    mine, due_at = account(State.QUEUED), timezone.now() - timedelta(seconds=1)
    Account.objects.bulk_create(
        Account(state=State.QUEUED, due_at=due_at, username=f"berta-{number}", submission=uuid.uuid4())
        for number in range(ahead)
    )

    assert told in client.get(page_of(mine)).content.decode()


@pytest.mark.parametrize("outage", [{"outages": 1}, {"outages": 1, "paused_until": timezone.now() + HOUR}])
def test_in_an_outage_it_names_no_time(client: Client, page_of: PageOf, outage: dict[str, object]) -> None:
    page = page_of(account(State.QUEUED))
    set_gateway(**outage)

    told = client.get(page).content.decode()

    assert "longer than usual" in told
    assert "in about" not in told


def test_an_account_that_is_tried_again_later_is_not_in_line(client: Client, page_of: PageOf) -> None:
    told = client.get(page_of(waiting(State.QUEUED, 0 * HOUR, 0.1 * HOUR))).content.decode()

    assert "longer than usual" in told


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


@pytest.mark.parametrize("state", sorted(services.ERASABLE))
def test_after_erasure_the_page_says_so_and_nothing_else(client: Client, page_of: PageOf, state: State) -> None:
    erased = account(state)
    services.erase(erased)

    page = client.get(page_of(erased)).content.decode()

    assert "We have erased your data" in page
    assert "Start again" in page
    for told in ("Your account is ready", "has been closed", f"erased-{erased.reference}", "We can't create"):
        assert told not in unescape(page)


def test_a_form_sent_again_after_erasure_leads_to_that_page(client: Client) -> None:
    erased = account(State.CREATED)
    services.erase(erased)

    sent = client.post("/", {**TYPED, "submission": str(erased.submission)})

    assert sent.headers["Location"] == f"/signup/{erased.reference}/"


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
