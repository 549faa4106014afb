from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from provisioning.models import Account, Attempt, Gateway, Worker
from provisioning.sealed import NOTHING
from tests.provisioning.admin.conftest import PASSWORD, TOKEN, Make, State, attempt, page_of

LIST = "/admin/provisioning/account/"


def listed(admin_client: Client, **query: str) -> set[str]:
    """Return the usernames on the list."""
    return {account.username for account in admin_client.get(LIST, query).context["cl"].result_list}


def test_the_list_shows_each_account_with_its_state_in_words(admin_client: Client, make: Make) -> None:
    for state in State:
        make(state)
    page = admin_client.get(LIST).content.decode()
    for state in State:
        assert f'<span class="state {state}">{state.label}</span>' in page
    assert "Alder Bakery" in page
    assert "ana@example.com" in page


def test_the_age_is_how_long_ago_the_form_was_sent(admin_client: Client, make: Make) -> None:
    make(submitted_at=timezone.now() - timedelta(hours=3, minutes=5))
    assert "3\xa0hours" in admin_client.get(LIST).content.decode()


@pytest.mark.parametrize(
    "query",
    [
        {"state__exact": State.REJECTED},
        {"country_code": "CA"},
        {"host": "trial.example.com"},
        {"submitted_at__gte": "2001-01-01 00:00:00+00:00", "submitted_at__lt": "2002-01-01 00:00:00+00:00"},
        {"submitted_at__year": "2001"},
        {"q": "blue door"},
        {"q": "wanted.name"},
        {"q": "wanted@example.com"},
        {"q": "cc-4711"},
        {"q": "9a0c1f9e-1111-4c5d-8f00-0123456789ab"},
    ],
    ids=str,
)
def test_filters_and_search_find_the_account_asked_for(admin_client: Client, make: Make, query: dict[str, str]) -> None:
    make(State.CREATED, host="signup.example.com")
    make(
        state=State.REJECTED if "state__exact" in query else State.CREATED,
        account_id="" if "state__exact" in query else "cc-4711",
        country_code="CA",
        host="trial.example.com",
        submitted_at=timezone.now().replace(year=2001, month=6, day=15),
        organization_name="The Blue Door",
        username="wanted.name",
        email="wanted@example.com",
        reference="9a0c1f9e-1111-4c5d-8f00-0123456789ab",
    )
    assert listed(admin_client, **query) == {"wanted.name"}


def test_the_country_filter_offers_only_countries_in_use_by_name(admin_client: Client, make: Make) -> None:
    make(country_code="CA")
    page = admin_client.get(LIST).content.decode()
    assert "?country_code=CA" in page
    assert "Canada" in page
    assert "?country_code=US" not in page


def test_with_several_brands_accounts_can_be_filtered_by_brand(admin_client: Client, make: Make) -> None:
    make(host="signup.example.com")
    assert "?host=" not in admin_client.get(LIST).content.decode()
    cache.clear()
    make(host="trial.example.com")
    page = admin_client.get(LIST).content.decode()
    assert "?host=signup.example.com" in page
    assert "?host=trial.example.com" in page


def test_the_page_of_an_account_shows_every_call_and_its_answer(admin_client: Client, make: Make) -> None:
    account = make(State.REJECTED)
    attempt(
        account,
        Attempt.Outcome.REFUSED,
        status=400,
        error_key="json.min.invalid",
        error_message="#/phone: too short <b>",
        answer='[{"error_key": "json.min.invalid"}]',
    )
    Attempt.objects.create(account=account, kind=Attempt.Kind.LOOK_UP)
    page = admin_client.get(page_of(account)).content.decode()
    for words in (
        "refused what the customer entered",
        "HTTP 400",
        "0.8 s",
        "<blockquote>too short &lt;b&gt;</blockquote>",
        "Waiting for Constant Contact&#x27;s answer",
    ):
        assert words in page


@pytest.mark.parametrize("state", [State.CREATED, State.CLOSED])
def test_a_token_shows_only_as_present_or_absent(admin_client: Client, make: Make, state: str) -> None:
    page = admin_client.get(page_of(make(state))).content.decode()
    assert ("<dt>Access token</dt><dd>stored</dd>" in page) == (state == State.CREATED)


@pytest.mark.parametrize("model", [Account, Gateway, Worker])
def test_nothing_can_be_added_edited_or_deleted(admin_client: Client, make: Make, model: Any) -> None:
    make(State.CREATED)
    Gateway.objects.get_or_create(pk=1)
    Worker.objects.create(name="host:1")
    name = f"admin:provisioning_{model._meta.model_name}"
    row = model.objects.get()
    assert admin_client.get(reverse(f"{name}_add")).status_code == 403
    assert admin_client.get(reverse(f"{name}_delete", args=[row.pk])).status_code == 403
    assert admin_client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert (
        admin_client.post(reverse(f"{name}_change", args=[row.pk]), {"organization_name": "Other"}).status_code == 403
    )
    assert "delete_selected" not in admin_client.get(reverse(f"{name}_changelist")).content.decode()


def test_the_timeline_says_that_a_found_account_has_no_token(admin_client: Client, make: Make) -> None:
    account = make(State.CREATED)
    attempt(account, Attempt.Outcome.FOUND, Attempt.Kind.LOOK_UP)

    assert "The list has no access tokens." in admin_client.get(page_of(account)).content.decode()


def test_no_page_shows_a_secret(admin_client: Client, make: Make) -> None:
    queued, created = make(State.QUEUED), make(State.CREATED)
    attempt(created)
    secrets = [PASSWORD, TOKEN, queued.password.ciphertext, created.oauth2_token.ciphertext, "Sealed"]
    pages = [reverse("admin:index"), LIST, f"{LIST}?q=alder", page_of(queued), page_of(created)]
    for page in pages:
        text = admin_client.get(page).content.decode()
        assert not [secret for secret in secrets if secret in text], page


def test_the_list_does_not_even_read_the_secrets(admin_client: Client, make: Make) -> None:
    make(State.QUEUED)
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(LIST)
    assert not [query for query in captured if '"provisioning_account"."password"' in query["sql"]]


def test_the_number_of_queries_does_not_grow_with_the_list(admin_client: Client, make: Make) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        return len(captured)

    attempt(make(State.CREATED))
    queries()
    few = queries()
    for _ in range(20):
        attempt(make(State.CREATED))
    assert queries() == few


def test_the_site_has_its_own_name(client: Client, db: None) -> None:
    page = client.get("/admin/login/").content.decode()
    assert "Constant Contact sign-up" in page
    assert "Django administration" not in page


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("attention", {"held", "rejected", "lost", "given-to-staff"}),
        ("lost", {"lost", "given-to-staff"}),
        ("slow", {"slow", "lost", "waits-long"}),
        ("no-token", {"no-token"}),
        ("test", {"test"}),
        ("anything else", set()),
    ],
)
def test_staffs_usual_questions_are_filters(admin_client: Client, make: Make, question: str, found: set[str]) -> None:
    now = timezone.now()
    make(State.HELD, username="held")
    make(State.REJECTED, username="rejected")
    make(
        State.UNCONFIRMED,
        username="lost",
        submitted_at=now - timedelta(days=2),
        state_changed_at=now - timedelta(days=1),
    )
    make(State.UNCONFIRMED, username="given-to-staff", due_at=None)
    make(State.UNCONFIRMED, username="new")
    make(State.CREATED, username="slow", submitted_at=now - timedelta(minutes=2), created_at=now)
    make(State.CREATED, username="quick")
    make(State.QUEUED, username="waits-long", submitted_at=now - timedelta(minutes=2))
    make(State.CREATED, username="no-token", oauth2_token=NOTHING)
    make(State.CREATED, username="test", email="ana@Nullmailer.com")
    shown = listed(admin_client, show=question)
    assert shown == (found or {account.username for account in Account.objects.all()})
