"""Every list of the admin takes as many queries for many rows as for few."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning import gateway
from provisioning.models import (
    Account,
    Attempt,
    AuditEntry,
    Delivery,
    DeliveryAttempt,
    Endpoint,
    Event,
    Gateway,
    Incident,
    ListEntry,
    ListPass,
    NoticeRule,
    Worker,
)
from signup.api.models import ApiKey
from signup.legal.models import Agreement
from signup.models import Brand, Diagnosis, Mail, SentMail
from tests.provisioning.admin.conftest import Make, State
from tests.signup.legal.texts import published


def a_delivery(make: Make, number: int) -> object:
    crm = Endpoint.objects.create(name="CRM", url="https://crm.example.com/")
    event = Event.objects.create(type="signup.held", account=make(State.HELD), is_routed=True)
    return Delivery.objects.create(event=event, endpoint=crm)


def a_brand(number: int) -> Brand:
    return Brand.objects.create(name="Alder", host=f"{number}.example.com")


ROWS: dict[str, Callable[[Make, int], object]] = {
    "provisioning/auditentry": lambda make, number: AuditEntry.objects.create(
        account=make(State.HELD), what="Approved"
    ),
    "provisioning/delivery": a_delivery,
    "provisioning/endpoint": a_delivery,
    "provisioning/incident": lambda make, number: Incident.objects.create(kind="worker", ended_at=Now()),
    "provisioning/noticerule": lambda make, number: NoticeRule.objects.create(name=str(number), incidents=["worker"]),
    "provisioning/listentry": lambda make, number: ListEntry.objects.create(account_id=str(number)),
    "provisioning/listpass": lambda make, number: ListPass.objects.create(source="s", outcome="failed"),
    "signup/mail": lambda make, number: Mail.objects.create(account=make(State.HELD), origin="https://a.example/"),
    "signup/brand": lambda make, number: a_brand(number),
    "signup/legaltext": lambda make, number: published(a_brand(number), "terms"),
    "signup/apikey": lambda make, number: ApiKey.objects.create(
        name="CRM", prefix=str(number), brand=a_brand(number), created_by=User.objects.create(username=str(number))
    ),
    "provisioning/worker": lambda make, number: Worker.objects.create(name=str(number)),
    "otp_totp/totpdevice": lambda make, number: TOTPDevice.objects.create(
        user=User.objects.create(username=str(number))
    ),
    "auth/group": lambda make, number: Group.objects.create(name=str(number)),
}


@pytest.mark.parametrize("path", list(ROWS))
def test_the_number_of_queries_does_not_grow_with_the_rows(admin_client: Client, make: Make, path: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(f"/admin/{path}/").status_code == 200
        return len(captured)

    ROWS[path](make, 0)
    queries()
    few = queries()
    for number in range(1, 6):
        ROWS[path](make, number)
    assert queries() == few


def more_of_an_account(account: Account, number: int) -> None:
    user = User.objects.create(username=str(number))
    Attempt.objects.create(account=account, kind="create", username="a")
    AuditEntry.objects.create(account=account, user=user, what="Approved")
    SentMail.objects.create(account=account, event="created")
    Agreement.objects.create(account=account, text=published(a_brand(number), "terms"))


PARTS: dict[str, tuple[Callable[[Make], Any], Callable[[Any, int], object]]] = {
    "provisioning/account": (lambda make: make(State.QUEUED), more_of_an_account),
    "provisioning/delivery": (
        lambda make: a_delivery(make, 0),
        lambda delivery, number: DeliveryAttempt.objects.create(delivery=delivery),
    ),
    "auth/group": (
        lambda make: Group.objects.create(name="Support"),
        lambda group, number: Group.objects.create(name=str(number)),
    ),
    "auth/user": (
        lambda make: User.objects.create(username="Ana"),
        lambda user, number: user.groups.add(Group.objects.create(name=str(number))),
    ),
    "provisioning/noticerule": (
        lambda make: NoticeRule.objects.create(name="Support", incidents=["worker"]),
        lambda rule, number: User.objects.create(username=str(number), is_staff=True),
    ),
}
"""List → a row of it, and more of what its page shows."""


@pytest.mark.parametrize("path", list(PARTS))
def test_the_number_of_queries_does_not_grow_with_what_a_page_shows(
    admin_client: Client, make: Make, path: str
) -> None:
    make_row, add_to = PARTS[path]
    row = make_row(make)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(f"/admin/{path}/{row.pk}/change/").status_code == 200
        return len(captured)

    add_to(row, 0)
    queries()
    few = queries()
    for number in range(1, 6):
        add_to(row, number)
    assert queries() == few


def test_a_card_on_a_phone_says_what_each_value_is(admin_client: Client, make: Make) -> None:
    Worker.objects.create(name="web-1")

    page = admin_client.get("/admin/provisioning/worker/").content.decode()

    assert '.field-seen:not(:empty)::before { content: "Last seen: "; }' in page
    assert ".field-name" not in page  # It is the card's heading.


def test_a_list_that_refreshes_itself_gets_no_style_that_its_policy_forbids(admin_client: Client) -> None:
    Brand.objects.create(name="Alder", color="#2454d6")
    page = admin_client.get("/admin/provisioning/worker/", headers={"X-Background": "refresh"}).content.decode()

    assert "<style" not in page


@pytest.mark.parametrize("path", ["provisioning/gateway", "signup/diagnosis"])
def test_a_table_with_one_row_needs_no_list(admin_client: Client, path: str) -> None:
    Gateway.objects.get_or_create(pk=1)
    Diagnosis.objects.create(findings=[])

    page = admin_client.get(f"/admin/{path}/").content.decode()

    assert 'class="readonly"' in page
    assert "result_list" not in page
    assert "closelink" not in page  # There is nothing to close it for.


def test_the_page_on_sending_says_whether_it_runs(admin_client: Client) -> None:
    gateway.state()
    assert ">Running<" in admin_client.get("/admin/provisioning/gateway/").content.decode()

    gateway.stop("HTTP 401: No such user")

    page = admin_client.get("/admin/provisioning/gateway/").content.decode()
    assert ">Stopped<" in page
    assert "HTTP 401: No such user" in page
    assert "Once sending resumes" in page


def test_filters_have_names_in_plain_words(admin_client: Client, make: Make) -> None:
    make(State.CREATED)
    page = admin_client.get("/admin/provisioning/account/").content.decode()
    for name in ("Topic", "Assigned to", "Refused value", "Signed up"):
        assert f"<summary>{name}</summary>" in page


def test_an_action_on_nothing_asks_for_a_selection(admin_client: Client, make: Make) -> None:
    make(State.REJECTED)
    page = "/admin/provisioning/account/?state__exact=rejected"
    answer = admin_client.post(page, {"action": "close", "index": "0"}, follow=True)
    assert "Select at least one account first." in answer.content.decode()
    assert answer.redirect_chain == [(page, 302)]


def test_a_page_leads_to_its_history_once_there_is_one(admin_client: Client) -> None:
    brand = a_brand(0)
    address = f"/admin/signup/brand/{brand.pk}/"
    assert "historylink" not in admin_client.get(f"{address}change/").content.decode()

    LogEntry.objects.log_actions(User.objects.get().pk, [brand], 2, "Changed", single_object=True)

    assert f"{address}history/" in admin_client.get(f"{address}change/").content.decode()


def test_the_page_before_a_deletion_names_what_would_be_deleted(admin_client: Client) -> None:
    brand = a_brand(0)
    assert "<h1>Delete Alder?</h1>" in admin_client.get(f"/admin/signup/brand/{brand.pk}/delete/").content.decode()

    ApiKey.objects.create(name="CRM", brand=brand)
    page = admin_client.get(f"/admin/signup/brand/{brand.pk}/delete/").content.decode()
    assert "<h1>Cannot delete brand</h1>" in page
    assert "revoke the API keys first" in page
    assert "CRM" in page


def test_workers_that_are_gone_and_incidents_that_last_are_marked(admin_client: Client) -> None:
    Worker.objects.create(name="web-1")
    Worker.objects.create(name="web-2", seen_at=Now() - timedelta(minutes=2))
    Incident.objects.create(kind="worker")

    Worker.objects.create(name="web-3", problem="The database is locked.")

    workers = admin_client.get("/admin/provisioning/worker/").content.decode()
    assert [word in workers for word in (">Running<", ">Gone<", ">Blocked<")] == [True, True, True]
    assert ">Ongoing<" in admin_client.get("/admin/provisioning/incident/").content.decode()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/admin/provisioning/worker/", "No worker is running"),
        ("/admin/signup/mail/", "No email to a customer has been planned"),
        ("/admin/signup/diagnosis/", "manage.py doctor"),
        ("/admin/otp_totp/totpdevice/", "Nobody has set up two-factor authentication yet."),
        ("/admin/auth/user/?is_active__exact=0", "Nothing matches these filters."),
        ("/admin/signup/brand/", "Customers see the brand from the settings."),
        ("/admin/signup/apikey/", "None of your systems can use the API yet."),
        ("/admin/provisioning/endpoint/", "None of your systems gets events yet."),
    ],
)
def test_an_empty_list_says_why(admin_client: Client, path: str, text: str) -> None:
    assert text in admin_client.get(path).content.decode()


def test_lists_count_what_their_titles_name(admin_client: Client) -> None:
    page = admin_client.get("/admin/auth/group/").content.decode()

    assert "3 roles" in page
    assert "Add role" in page
