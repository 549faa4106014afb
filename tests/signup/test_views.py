"""The form's page: a form becomes one account, whose page belongs to the browser that sent it."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as configuration
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from provisioning.rules import CUSTOMER_PROPERTIES
from tests.signup.accounts import CANARY, TYPED, account, hidden

pytestmark = pytest.mark.django_db

FORM = "/"
PageOf = Callable[[Account], str]
NAUGHTY = (
    "\0",
    "a\0b",
    "\ud800".encode("utf-8", "surrogatepass"),
    b"\xff\xfe",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "\N{ZERO WIDTH SPACE}",
    "a\r\nBcc: b@example.com",
    "<script>alert(1)</script>",
    "'; DROP TABLE provisioning_account; --",
    "{{ 7|add:7 }} {% now 'Y' %} %s %(x)s {0}",
    "x" * 100_000,
    "Z" + "\N{COMBINING ACUTE ACCENT}" * 500,
    "👩‍👩‍👧‍👦" * 20,
    "=cmd|' /C calc'!A0",
    "١٢٣٤٥",
)


def test_the_empty_form_shows_no_problems(client: Client) -> None:
    page = client.get(FORM).content.decode()

    assert 'role="alert"' not in page
    assert "aria-invalid" not in page
    assert "Error:" not in page


def test_names_keep_their_text_direction_and_are_never_translated(client: Client, page_of: PageOf) -> None:
    form = client.get(FORM).content.decode()
    for name in ("organization_name", "first_name", "last_name"):
        assert re.search(rf'<input(?=[^>]* name="{name}")[^>]* dir="auto"', form)

    made = account(Account.State.CREATED, organization_name="مخبز آنا", username="anna")
    ready = client.get(page_of(made)).content.decode()
    assert '<dd dir="auto" translate="no">مخبز آنا</dd>' in ready
    assert '<span translate="no">anna</span>' in ready
    assert f'<strong translate="no">{made.email}</strong>' in ready


def test_the_page_has_a_description_for_search_engines(client: Client, settings: Settings) -> None:
    page = client.get(FORM).content.decode()
    settings.BRAND_HEADLINE = "Bring your regulars back"
    branded = client.get(FORM).content.decode()

    assert '<meta name="description" content="Start your free Constant Contact trial">' in page
    assert '<meta name="description" content="Bring your regulars back">' in branded


def test_the_form_is_sent_compressed(client: Client) -> None:
    page = client.get(FORM, headers={"Accept-Encoding": "gzip"})

    assert page.headers["Content-Encoding"] == "gzip"
    assert len(page.content) < 10_000


def test_a_valid_form_becomes_a_queued_account(client: Client) -> None:
    response = client.post(FORM, TYPED)

    made = Account.objects.get()
    assert response.headers["Location"] == f"/signup/{made.reference}/"
    assert (made.state, made.username, made.password.open()) == ("queued", TYPED["username"], CANARY)


def test_an_account_stores_the_host_of_its_sign_up(client: Client) -> None:
    client.post(FORM, TYPED, headers={"host": "localhost:8000"})

    assert Account.objects.get().host == "localhost"


def test_an_invalid_form_comes_back_with_all_values_but_the_password(client: Client) -> None:
    page = client.post(FORM, TYPED | {"email": "anna@", "phone": "1"}).content.decode()

    assert 'value="anna@"' in page
    assert f'value="{TYPED["username"]}"' in page
    assert '<option value="MA" selected>' in page
    assert CANARY not in page
    assert not Account.objects.exists()


def test_each_problem_has_the_same_text_in_the_summary_and_at_its_field(client: Client) -> None:
    page = client.post(FORM, TYPED | {"email": "anna@"}).content.decode()

    message = "Enter an email address like name@example.com."
    assert f'<a href="#id_email">Email address: {message}</a>' in page
    assert f'id="id_email_error"><span class="visually-hidden">Error:</span> {message}</p>' in page
    assert 'aria-describedby="id_email_helptext id_email_error"' in page
    assert "<title>Error: " in page


def test_the_same_form_sent_twice_is_one_account_and_one_page(client: Client) -> None:
    form = TYPED | {"submission": str(uuid.uuid4())}

    first, second = client.post(FORM, form), client.post(FORM, form)

    assert first.headers["Location"] == second.headers["Location"]
    assert Account.objects.count() == 1


def test_each_opened_form_is_a_new_submission(client: Client) -> None:
    first, second = (hidden(client.get(FORM))["submission"] for _ in range(2))

    assert first != second


def test_an_open_accounts_username_is_refused_at_its_field(client: Client) -> None:
    account("queued", username=TYPED["username"])

    form = client.post(FORM, TYPED).context["form"]

    assert list(form.errors) == ["username"]


def test_suggestions_for_a_taken_username_begin_with_near_misses(client: Client) -> None:
    account("queued", username="anna.good")

    form = client.post(FORM, TYPED | {"username": "anna.good"}).context["form"]

    assert form.suggestions() == ["anna.good2", "anna.good3", "annas-bakery", "anna.jones"]


def test_clicking_a_suggested_username_sends_the_form_with_it(client: Client) -> None:
    account("queued", username=TYPED["username"])
    names = client.post(FORM, TYPED).context["form"].suggestions()

    client.post(FORM, TYPED | {"username": [TYPED["username"], names[0]]})

    assert Account.objects.filter(username=names[0]).exists()


def test_going_back_and_sending_the_form_again_leads_to_the_account(client: Client) -> None:
    first = client.post(FORM, TYPED | {"submission": str(uuid.uuid4())})

    again = client.post(FORM, TYPED | {"submission": str(uuid.uuid4())})

    assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize("setting", ["CONSTANT_CONTACT_MANAGED_SITE_OWNER", "CONSTANT_CONTACT_SINGLE_BILLING"])
def test_the_form_says_so_if_the_partner_can_log_in_to_the_account(
    client: Client, settings: Settings, setting: str
) -> None:
    settings.BRAND_NAME = "Alder & Co"
    assert "can log in to it" not in client.get(FORM).content.decode()

    setattr(settings, setting, True)

    assert "Alder &amp; Co manages your account with you and can log in to it" in client.get(FORM).content.decode()


@pytest.mark.parametrize("name", [*CUSTOMER_PROPERTIES, "submission"])
@pytest.mark.parametrize("value", NAUGHTY, ids=lambda value: repr(value)[:24])
def test_naughty_input_gives_a_problem_or_an_account(client: Client, name: str, value: Any) -> None:
    body = urlencode(TYPED | {name: value})

    response = client.post(FORM, body, content_type="application/x-www-form-urlencoded")

    assert (response.status_code, Account.objects.count()) in {(200, 0), (302, 1)}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"&&&=&==", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b"email=a&email=b&email[]=c", "application/x-www-form-urlencoded"),
        (b"email=%ff", "application/x-www-form-urlencoded; charset=utf-16"),
        (b"email=a", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"&".join(b"a=%d" % number for number in range(5000)), "application/x-www-form-urlencoded"),
        (b"email=" + b"x" * 3_000_000, "application/x-www-form-urlencoded"),
    ],
    ids=lambda part: repr(part)[:40],
)
def test_a_body_that_is_not_our_form_gives_a_page_that_says_so(client: Client, body: bytes, content_type: str) -> None:
    response = client.generic("POST", FORM, body, content_type)

    assert response.status_code in {200, 400}
    assert "<h1>" in response.content.decode()


def test_uploaded_files_are_not_values(client: Client) -> None:
    with Path(__file__).open("rb") as file:
        response = client.post(FORM, TYPED | {"email": file})

    assert set(response.context["form"].errors) == {"email", "password"}


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_other_http_methods_are_refused(client: Client, method: str) -> None:
    assert getattr(client, method)(FORM).status_code == 405


def test_personal_data_is_not_cached(client: Client) -> None:
    page = client.post(FORM, TYPED, follow=True)

    for response in (client.get(FORM), client.post(FORM, {}), page, client.get(f"{page.redirect_chain[0][0]}status/")):
        assert "no-store" in response.headers["Cache-Control"]


def test_no_page_and_no_session_contains_the_password(client: Client) -> None:
    first = client.post(FORM, TYPED | {"email": "anna@"})
    second = client.post(FORM, TYPED, follow=True)

    assert CANARY not in first.content.decode() + second.content.decode()
    assert all(CANARY not in str(session.get_decoded()) for session in Session.objects.all())


class TestWithoutACsrfToken:
    def test_the_form_comes_back_as_it_was_filled_in(self) -> None:
        response = Client(enforce_csrf_checks=True).post(FORM, TYPED)

        page = response.content.decode()
        assert response.status_code == 403
        assert f'value="{TYPED["username"]}"' in page
        assert "Nothing has been sent yet" in page
        assert CANARY not in page
        assert not Account.objects.exists()

    def test_sending_that_form_succeeds(self) -> None:
        browser = Client(enforce_csrf_checks=True)
        form = browser.post(FORM, TYPED)

        again = browser.post(FORM, TYPED | {"csrfmiddlewaretoken": str(form.context["csrf_token"])})

        assert again.status_code == 302

    def test_a_lost_cookie_is_distinguished_from_an_old_page(self) -> None:
        assert "did not keep our cookie" in Client(enforce_csrf_checks=True).post(FORM, TYPED).content.decode()

        browser = Client(enforce_csrf_checks=True)
        browser.get(FORM)
        old = browser.post(FORM, TYPED | {"csrfmiddlewaretoken": "x" * 64}).content.decode()
        assert "this page was open for too long" in old

    @pytest.mark.parametrize(
        ("origin", "told", "logged"),
        [
            ("null", "hides which page the form comes from", "Referrer-Policy"),
            ("https://other.example", "seems to come from a different page", "'https://other.example'"),
        ],
    )
    def test_the_true_reason_is_told_to_customer_and_operator(
        self, caplog: pytest.LogCaptureFixture, origin: str, told: str, logged: str
    ) -> None:
        browser = Client(enforce_csrf_checks=True)
        token = browser.get(FORM).cookies[configuration.CSRF_COOKIE_NAME].value

        sent = TYPED | {"csrfmiddlewaretoken": token}
        page = browser.post(FORM, sent, headers={"Origin": origin}).content.decode()
        other = browser.post(f"/signup/{uuid.uuid4()}/", sent, headers={"Origin": origin}).content.decode()

        assert told in page
        assert told in other
        assert "too long" not in page
        assert logged in caplog.text

    @pytest.mark.parametrize("origin", ["null", "https://thief.example"])
    def test_another_site_cannot_choose_the_id_of_a_customers_form(self, origin: str) -> None:
        thief, customer = Client(), Client(enforce_csrf_checks=True)
        known = hidden(thief.get(FORM))

        form = customer.post(FORM, known, headers={"Origin": origin})
        own = hidden(form) | {"csrfmiddlewaretoken": str(form.context["csrf_token"])}
        page = customer.post(FORM, TYPED | own).headers["Location"]

        assert "Location" not in thief.post(FORM, TYPED | known).headers
        assert thief.get(page).status_code == 404

    def test_the_log_names_the_page_of_a_refused_form_without_its_query(self, caplog: pytest.LogCaptureFixture) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.get(FORM, secure=True)

        browser.post(FORM, TYPED, secure=True, headers={"Referer": "https://other.example/a?token=canary"})

        assert "'https://other.example/a'" in caplog.text
        assert "canary" not in caplog.text

    def test_a_secure_form_without_origin_and_referrer_gets_an_explanation(self) -> None:
        browser = Client(enforce_csrf_checks=True)
        token = browser.get(FORM, secure=True).cookies[configuration.CSRF_COOKIE_NAME].value

        page = browser.post(FORM, TYPED | {"csrfmiddlewaretoken": token}, secure=True)

        assert "hides which page the form comes from" in page.content.decode()

    def test_another_page_links_back_to_the_form(self) -> None:
        response = Client(enforce_csrf_checks=True).post(f"/signup/{uuid.uuid4()}/", {})

        assert response.status_code == 403
        assert 'href="/"' in response.content.decode()


def test_the_not_found_page_links_to_the_form(client: Client) -> None:
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert 'href="/"' in response.content.decode()


def test_the_server_error_page_links_to_the_form(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signup.views.form.services.submit", lambda *_: 1 / 0)
    client.raise_request_exception = False

    response = client.post(FORM, TYPED)

    assert response.status_code == 500
    assert 'href="/"' in response.content.decode()
    assert configuration.SECRET_KEY not in response.content.decode()
