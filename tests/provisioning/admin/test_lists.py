"""Every list of the admin takes as many queries for many rows as for few."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.models import AuditEntry, Delivery, Endpoint, Event, Incident, ListEntry, ListPass, NoticeRule
from signup.models import Brand, Mail
from tests.provisioning.admin.conftest import Make, State


def a_delivery(make: Make, number: int) -> object:
    crm = Endpoint.objects.create(name="CRM", url="https://crm.example.com/")
    event = Event.objects.create(type="signup.held", account=make(State.HELD), is_routed=True)
    return Delivery.objects.create(event=event, endpoint=crm)


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
    "signup/brand": lambda make, number: Brand.objects.create(name="Alder", host=f"{number}.example.com"),
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


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/admin/provisioning/worker/", "No worker is running"),
        ("/admin/signup/mail/", "No email to a customer has been planned"),
        ("/admin/signup/diagnosis/", "manage.py doctor"),
        ("/admin/otp_totp/totpdevice/", "Nobody has set up two-factor authentication yet."),
        ("/admin/auth/user/?is_active__exact=0", "Nothing matches these filters."),
        ("/admin/signup/brand/", "Customers see the brand from the settings."),
        ("/admin/signup/apikey/", "No system can use the API yet."),
        ("/admin/provisioning/endpoint/", "None of your systems is told of events yet."),
    ],
)
def test_an_empty_list_says_why(admin_client: Client, path: str, text: str) -> None:
    assert text in admin_client.get(path).content.decode()


def test_lists_count_what_their_titles_name(admin_client: Client) -> None:
    page = admin_client.get("/admin/auth/group/").content.decode()

    assert "3 roles" in page
    assert "Add role" in page
