"""Endpoints and deliveries in the admin: who may do what, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning.admin_site.sessions import AUTHENTICATED
from provisioning.events import endpoints
from provisioning.models import Delivery, DeliveryAttempt, Endpoint, Event
from provisioning.sealed import Sealed
from tests.provisioning.admin.conftest import told

pytestmark = pytest.mark.once

AsRole = Callable[[str], Client]
SECRET = "whsec_" + "goldfinch" * 4
URL = "https://crm.example.com/events?token=canary-token"
ENTERED = {"name": "CRM", "url": URL, "events": ["signup.created"], "host": ""}
ADD = "/admin/provisioning/endpoint/add/"


@pytest.fixture
def administrator(as_role: AsRole) -> Client:
    return as_role("Administrator")


@pytest.fixture
def crm(db: None) -> Endpoint:
    return Endpoint.objects.create(name="CRM", url=URL, events=["signup.created"], secret=Sealed.of(SECRET))


@pytest.fixture
def delivery(crm: Endpoint) -> Delivery:
    event = Event.objects.create(type="gateway.stopped", is_routed=True)
    return Delivery.objects.create(event=event, endpoint=crm, due_at=None, state=Delivery.State.FAILED)


def page(name: str, row: Any) -> str:
    return reverse(f"admin:provisioning_{name}", args=[row.pk])


def log_of(row: Any) -> list[str]:
    return list(LogEntry.objects.filter(object_id=row.pk).order_by("pk").values_list("change_message", flat=True))


def age_proof(client: Client) -> None:
    session = client.session
    session[AUTHENTICATED] -= 601
    session.save()


class TestSomebodyWhoMayNotExport:
    """Somebody in a group of the partner's own, for endpoints only."""

    @pytest.fixture
    def keeper(self, db: None, client: Client) -> Client:
        user = User.objects.create_user("ben", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["add_endpoint", "change_endpoint"]))
        client.force_login(user)
        return client

    def test_adds_endpoints_without_personal_fields(self, keeper: Client) -> None:
        keeper.post(ADD, ENTERED | {"has_personal_fields": "on"})
        assert not Endpoint.objects.get().has_personal_fields

    def test_cannot_give_an_endpoint_personal_fields(self, keeper: Client, crm: Endpoint) -> None:
        entered = ENTERED | {"name": "Shop", "has_personal_fields": "on"}
        keeper.post(page("endpoint_change", crm), entered)
        crm.refresh_from_db()
        assert (crm.name, crm.has_personal_fields) == ("Shop", False)

    def test_sends_a_test_event_and_stays_on_a_page_that_they_may_see(self, keeper: Client, crm: Endpoint) -> None:
        response = keeper.post(page("endpoint_test", crm), follow=True)
        assert response.status_code == 200
        assert "is sending the test event" in told(response)

    def test_cannot_lead_personal_fields_elsewhere(self, keeper: Client, crm: Endpoint) -> None:
        Endpoint.objects.update(has_personal_fields=True)
        elsewhere = ENTERED | {"url": "https://elsewhere.example.com/", "has_personal_fields": "on"}
        assert keeper.post(page("endpoint_change", crm), elsewhere).status_code == 403
        for view in ("switch", "test"):
            assert keeper.post(page(f"endpoint_{view}", crm)).status_code == 403
        crm.refresh_from_db()
        assert (crm.url, crm.is_on) == (URL, True)


@pytest.mark.parametrize("codename", ["add_endpoint", "change_endpoint"])
def test_no_page_adds_or_changes_an_endpoint_without_fresh_proof(client: Client, crm: Endpoint, codename: str) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename=codename))
    client.force_login(user)
    age_proof(client)
    entered = ENTERED | {"url": "https://elsewhere.example.com/", "_saveasnew": "1"}
    for address in (ADD, page("endpoint_change", crm)):
        response = client.post(address, entered)
        assert response.headers["Location"].startswith("/admin/confirm/")
    assert Endpoint.objects.get().url == URL


def test_somebody_who_may_only_add_endpoints_adds_one(client: Client, db: None) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="add_endpoint"))
    client.force_login(user)
    assert 'name="url"' in client.get(ADD).content.decode()
    added = client.post(ADD, ENTERED, follow=True)
    assert added.status_code == 200
    assert "CRM" in told(added)
    assert Endpoint.objects.get().url == URL


class TestAnEndpoint:
    def test_is_added_with_a_secret_of_its_own(self, administrator: Client) -> None:
        response = administrator.post(ADD, ENTERED)
        added = Endpoint.objects.get()
        assert response.headers["Location"] == page("endpoint_secret", added)
        assert (added.events, added.is_on, added.has_personal_fields) == (["signup.created"], True, False)
        assert added.secret.open().startswith("whsec_")

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("url", "http://crm.example.com/", "https://"),
            ("url", "https://10.0.0.1/", "WEBHOOK_PRIVATE_NETWORKS"),
            ("url", "https://anna:secret@crm.example.com/", "Remove the username"),
            ("events", [], "required"),
            ("events", ["signup.forged"], "valid choice"),
            ("name", "", "required"),
        ],
    )
    def test_with_a_wrong_value_is_not_added(self, administrator: Client, name: str, value: Any, problem: str) -> None:
        response = administrator.post(ADD, ENTERED | {name: value})
        assert problem in response.content.decode()
        assert not Endpoint.objects.exists()

    def test_is_added_and_changed_only_with_fresh_proof(self, administrator: Client, crm: Endpoint) -> None:
        age_proof(administrator)
        for address in (ADD, page("endpoint_change", crm)):
            assert administrator.post(address, ENTERED | {"name": "Other"}).status_code == 302
        assert list(Endpoint.objects.values_list("name", flat=True)) == ["CRM"]

    def test_shows_its_url_only_to_those_who_may_change_it(self, as_role: AsRole, crm: Endpoint) -> None:
        for role, may in (("Viewer", False), ("Operator", False), ("Administrator", True)):
            shown = as_role(role).get(page("endpoint_change", crm)).content.decode()
            assert ("canary-token" in shown, "crm.example.com" in shown) == (may, True)

    def test_shows_its_secret_on_no_page_but_one(self, administrator: Client, crm: Endpoint) -> None:
        for address in ("endpoint_change", "endpoint_history", "endpoint_delete", "endpoint_secret"):
            assert SECRET not in administrator.get(page(address, crm)).content.decode()
        assert SECRET not in administrator.get("/admin/provisioning/endpoint/").content.decode()

    def test_can_be_switched_off_and_on(self, administrator: Client, crm: Endpoint) -> None:
        for is_on in (False, True):
            administrator.post(page("endpoint_switch", crm))
            crm.refresh_from_db()
            assert (crm.is_on, crm.off_reason) == (is_on, "")
        assert log_of(crm) == ["Switched off", "Switched on"]

    def test_that_is_switched_off_meanwhile_stays_off(
        self, administrator: Client, crm: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Endpoint, "clean", endpoints.switch_off)

        administrator.post(page("endpoint_change", crm), ENTERED | {"name": "Shop"})

        crm.refresh_from_db()
        assert (crm.name, crm.is_on) == ("Shop", False)

    def test_is_deleted_with_its_deliveries(self, administrator: Client, crm: Endpoint, delivery: Delivery) -> None:
        shown = administrator.get(page("endpoint_delete", crm)).content.decode()
        assert "deliveries" in shown.lower()
        administrator.post(page("endpoint_delete", crm), {"post": "yes"})
        assert not Endpoint.objects.exists()
        assert Endpoint.everything.get().deleted_at  # A worker deletes its deliveries.
        for gone in (page("delivery_change", delivery), page("endpoint_change", crm), page("endpoint_secret", crm)):
            assert administrator.get(gone).status_code in (302, 404)
        assert log_of(crm)

    def test_that_was_switched_off_for_failing_is_a_task(self, administrator: Client, crm: Endpoint) -> None:
        assert "switched off" not in administrator.get("/admin/").content.decode()
        Endpoint.objects.update(is_on=False, off_reason="It answered 410, which means that it is gone for good.")
        assert "1 event endpoint was switched off" in administrator.get("/admin/").content.decode()
        assert "It answered 410" in administrator.get("/admin/provisioning/endpoint/").content.decode()

    def test_shows_its_last_delivery_without_looking_at_others(self, rf: RequestFactory, delivery: Delivery) -> None:
        """Otherwise, the list would read every delivery that an endpoint never took."""
        listed = admin.site.get_model_admin(Endpoint).get_queryset(rf.get("/"))
        if connection.vendor == "postgresql":  # It reads small tables in full.
            connection.cursor().execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        assert "delivery_of_endpoint" in listed.explain()

    def test_gets_a_test_event(self, administrator: Client, crm: Endpoint) -> None:
        response = administrator.post(page("endpoint_test", crm))
        sent = Delivery.objects.get()
        assert response.headers["Location"] == page("delivery_change", sent)
        assert (sent.event.type, sent.endpoint, sent.state) == ("endpoint.test", crm, "waiting")
        assert log_of(crm) == ["Test event sent"]

    def test_that_is_off_gets_nothing(self, administrator: Client, crm: Endpoint, delivery: Delivery) -> None:
        Endpoint.objects.update(is_on=False)
        for address in (page("endpoint_test", crm), page("delivery_replay", delivery)):
            assert "Switch the endpoint on first" in told(administrator.post(address, follow=True))
        assert not Delivery.objects.filter(state="waiting").exists()


class TestTheSecret:
    def test_is_shown_and_that_is_recorded(self, administrator: Client, crm: Endpoint) -> None:
        response = administrator.post(page("endpoint_secret", crm), {"show": "1"})
        assert SECRET in response.content.decode()
        assert "no-store" in response.headers["Cache-Control"]
        assert log_of(crm) == ["Signing secret shown"]

    def test_is_shown_only_with_fresh_proof(self, administrator: Client, crm: Endpoint) -> None:
        age_proof(administrator)
        response = administrator.post(page("endpoint_secret", crm), {"show": "1"}, follow=True)
        assert response.redirect_chain[0][0].startswith("/admin/confirm/")
        assert log_of(crm) == []

    def test_can_be_replaced(self, administrator: Client, crm: Endpoint) -> None:
        shown = administrator.post(page("endpoint_secret", crm), {"rotate": "1"}).content.decode()
        crm.refresh_from_db()
        assert crm.secret.open() in shown
        assert SECRET not in shown
        assert crm.previous_secret.open() == SECRET
        assert log_of(crm) == ["Signing secret replaced", "Signing secret shown"]

    def test_that_cannot_be_opened_is_explained(self, administrator: Client, crm: Endpoint, settings: Any) -> None:
        settings.SEALING_KEYS = [Fernet.generate_key().decode()]
        response = administrator.post(page("endpoint_secret", crm), {"show": "1"})
        assert "Add the old key back" in response.content.decode()
        assert log_of(crm) == []


class TestADelivery:
    def test_shows_every_call_and_its_answer(self, administrator: Client, delivery: Delivery) -> None:
        DeliveryAttempt.objects.create(
            delivery=delivery,
            status=503,
            answer="<b>Down</b> for now",
            duration=timedelta(seconds=1.5),
            ended_at=delivery.event.at,
        )
        DeliveryAttempt.objects.create(delivery=delivery)
        shown = administrator.get(page("delivery_change", delivery)).content.decode()
        for text in ("503", "&lt;b&gt;Down&lt;/b&gt; for now", "1.5", "In progress", delivery.event.webhook_id):
            assert text in shown

    def test_is_listed_without_looking_at_all_others(self, administrator: Client, delivery: Delivery) -> None:
        with CaptureQueriesContext(connection) as queries:
            administrator.get("/admin/provisioning/delivery/")
        assert not any("DISTINCT" in query["sql"] for query in queries)

    def test_is_found_by_its_ids_in_an_index(self, administrator: Client, delivery: Delivery) -> None:
        for found in (str(delivery.event.uid), delivery.event.webhook_id):
            with CaptureQueriesContext(connection) as queries:
                shown = administrator.get(f"/admin/provisioning/delivery/?q={found}").content.decode()
            assert page("delivery_change", delivery) in shown
            asked = [query["sql"] for query in queries if "provisioning_event" in query["sql"]]
            assert asked
            assert not any("UPPER(" in sql or "LIKE" in sql for sql in asked)

    def test_can_be_sent_again(self, as_role: AsRole, delivery: Delivery) -> None:
        operator = as_role("Operator")
        assert "Send again" in operator.get(page("delivery_change", delivery)).content.decode()
        operator.post(page("delivery_replay", delivery))
        delivery.refresh_from_db()
        assert (delivery.state, delivery.due_at is None) == ("waiting", False)
        assert log_of(delivery) == ["Sent again"]
        assert "waiting" in told(operator.post(page("delivery_replay", delivery), follow=True))

    @pytest.mark.parametrize(
        "query", ["?state__exact=failed", "?event__type__exact=gateway.stopped", "?q=msg_1", "?q=1"]
    )
    def test_can_be_found(self, administrator: Client, delivery: Delivery, query: str) -> None:
        address = "/admin/provisioning/delivery/"
        assert administrator.get(f"{address}{query}").status_code == 200
        assert "gateway.stopped" in administrator.get(f"{address}?q={delivery.event.uid}").content.decode()
        assert (
            "gateway.stopped"
            in administrator.get(f"{address}?endpoint__id__exact={delivery.endpoint_id}").content.decode()
        )
