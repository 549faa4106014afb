from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from provisioning import gateway
from provisioning.models import Gateway
from tests.provisioning.admin.conftest import ROLES, Make, State, page_of, told

AsRole = Callable[[str], Client]
LIST = "/admin/provisioning/account/"


def test_every_page_says_that_the_gateway_is_stopped_and_why(admin_client: Client, make: Make) -> None:
    pages = ["/admin/", LIST, page_of(make(State.QUEUED)), "/admin/auth/user/"]
    for page in pages:
        assert "No account is sent" not in admin_client.get(page).content.decode()
    gateway.stop("Constant Contact answered 401: no such user")
    for page in pages:
        assert "Constant Contact answered 401: no such user" in admin_client.get(page).content.decode()


def test_every_page_says_until_when_the_gateway_is_paused(admin_client: Client) -> None:
    gateway.state()
    Gateway.objects.update(paused_until=timezone.now().replace(year=2099, month=7, day=14))
    assert "paused until July 14, 2099" in admin_client.get("/admin/").content.decode()


def test_every_part_of_the_admin_has_a_readable_name(admin_client: Client) -> None:
    names = [app["name"] for app in admin_client.get("/admin/").context["app_list"]]
    assert "Two-factor authentication" in names
    assert not [name for name in names if "_" in name]


def test_the_gateways_status_is_not_shown_before_login(client: Client, db: None) -> None:
    gateway.stop("Constant Contact answered 401")
    assert "answered 401" not in client.get("/admin/login/").content.decode()


@pytest.mark.parametrize("role", ROLES)
def test_resuming_the_gateway_needs_its_permission(as_role: AsRole, role: str) -> None:
    gateway.stop("Constant Contact answered 401")
    may, client = role in {"Operator", "Administrator"}, as_role(role)
    assert ('action="/admin/resume/"' in client.get("/admin/").content.decode()) == may
    response = client.post("/admin/resume/", follow=True)
    assert response.status_code == (200 if may else 403)
    assert (gateway.current_pause() is None) == may
    assert LogEntry.objects.filter(change_message="Resumed").exists() == may


def test_resuming_twice_is_harmless(admin_client: Client) -> None:
    gateway.stop("Constant Contact answered 401")
    for _ in range(2):
        assert "Sending resumed." in told(admin_client.post("/admin/resume/", follow=True))


def test_a_get_request_cannot_resume_the_gateway(admin_client: Client) -> None:
    assert admin_client.get("/admin/resume/").status_code == 405


def test_error_pages_lead_staff_back_to_the_admin(admin_client: Client) -> None:
    for path, status in (("/admin/nowhere/", 404), ("/admin/provisioning/account/add/", 403), ("/nowhere", 404)):
        answer = admin_client.get(path)
        assert answer.status_code == status
        assert ('href="/admin/"' in answer.content.decode()) == path.startswith("/admin/")
