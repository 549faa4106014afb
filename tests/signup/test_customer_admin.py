"""Staff help a customer: they preview the customer's page, send the email again, and copy the link."""

import re
from collections.abc import Callable
from smtplib import SMTPRecipientsRefused

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from provisioning.audit import AuditEntry
from provisioning.models import Account
from signup import emails
from signup.brand.models import Brand
from signup.models import Mail, SentMail
from tests.signup.accounts import CANARY
from tests.signup.emails.conftest import Broken, expecting, told_of, with_a_mail_server

__all__ = ["with_a_mail_server"]
pytestmark = pytest.mark.django_db
State = Account.State


def address(account: Account, name: str = "change") -> str:
    return f"/admin/provisioning/account/{account.pk}/{name}/"


def text_of(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def without_csrf_token(page: str) -> str:
    """Return the page without its CSRF token."""
    (story,) = re.findall('<div class="card story">.*</main>', page, re.DOTALL)
    return re.sub('name="csrfmiddlewaretoken" value="[^"]*"', "", story)


@pytest.mark.parametrize("state", State)
def test_the_customers_page_is_shown_as_the_customer_sees_it(admin_client: Client, state: State) -> None:
    account = expecting(state)
    customer = Client()
    customer.get(emails.link_to(account, "/"))
    page = text_of(admin_client, address(account, "customer"))
    assert without_csrf_token(page) == without_csrf_token(text_of(customer, f"/signup/{account.reference}/"))
    assert "This is what the customer sees now." in page
    assert "http-equiv" not in page
    assert "data-status" not in page
    assert CANARY not in page


def test_it_has_the_customers_language_and_brand(admin_client: Client) -> None:
    Brand.objects.create(host="alder.example.com", name="Alder & Co")
    account = expecting(State.QUEUED, language="fr", host="alder.example.com")
    page = text_of(admin_client, address(account, "customer"))
    assert '<html lang="fr">' in page
    assert "Alder &amp; Co" in page


def test_nothing_can_be_sent_from_it(admin_client: Client) -> None:
    account = expecting(State.REJECTED)
    answer = admin_client.get(address(account, "customer"))
    assert "form-action 'none'" in answer.headers["Content-Security-Policy"]
    assert admin_client.post(address(account, "customer"), {"username": "mallory"}).status_code == 405


def test_the_customers_link_is_shown_and_that_is_recorded(admin_client: Client, client: Client) -> None:
    account = expecting(State.REJECTED)
    page = admin_client.post(address(account, "link")).content.decode()
    (link,) = re.findall(r'value="(https://localhost/signup/open/[^"]+)"', page)
    assert client.get(link.removeprefix("https://localhost")).headers["Location"] == f"/signup/{account.reference}/"
    assert AuditEntry.objects.get().what == "Link to the customer's page shown"


def test_an_email_is_resent_at_once_whatever_the_limits(admin_client: Client) -> None:
    account = told_of(State.CREATED)
    emails.send_due()
    for number in (2, 3):
        answer = admin_client.post(address(account, "email"), follow=True)
        assert f"The email was sent to {account.email}." in answer.content.decode()
        assert len(mail.outbox) == number
    assert [entry.what for entry in AuditEntry.objects.all()] == ["Email sent again"] * 2


def test_a_failure_is_reported_and_the_email_is_retried(
    admin_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = f"{Broken.__module__}.Broken"
    monkeypatch.setattr(Broken, "fault", SMTPRecipientsRefused({}), raising=False)
    account = told_of(State.CREATED)
    answer = admin_client.post(address(account, "email"), follow=True).content.decode()
    assert "may not have been sent: SMTPRecipientsRefused." in answer
    assert Mail.objects.get().due_at
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("prepare", [lambda: expecting(State.QUEUED), lambda: expecting(State.CLOSED)])
def test_no_email_is_offered_in_states_without_one(admin_client: Client, prepare: Callable[[], Account]) -> None:
    account = prepare()
    assert "Send the email again" not in text_of(admin_client, address(account))
    answer = admin_client.post(address(account, "email"), follow=True)
    assert "No email was sent" in answer.content.decode()
    assert mail.outbox == []


def test_the_timeline_lists_every_email_with_its_result(admin_client: Client) -> None:
    account = told_of(State.REJECTED)
    emails.send_due()
    SentMail.objects.create(account=account, event="created", problem="TimeoutError")
    page = text_of(admin_client, address(account))
    assert "Email &quot;Correction needed&quot; was sent." in page
    assert "Email &quot;Account ready&quot; may not have been sent." in page
    assert "TimeoutError" in page


def test_the_brand_filter_has_the_names_of_the_brands(admin_client: Client) -> None:
    cache.clear()
    Brand.objects.create(name="Harbor")
    Brand.objects.create(name="North & Pine", host="trial.example.com")
    for host in ("signup.example.com", "trial.example.com", "old.example.com"):
        expecting(host=host)

    page = admin_client.get("/admin/provisioning/account/").content.decode()

    choices = re.findall(r'href="\?host=([^"]*)">([^<]*)<', page)
    assert choices == [
        ("old.example.com", "Harbor (old.example.com)"),
        ("signup.example.com", "Harbor (signup.example.com)"),
        ("trial.example.com", "North &amp; Pine"),
    ]
