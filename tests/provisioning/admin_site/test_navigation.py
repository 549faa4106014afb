from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.models import Worker
from signup.brand.models import Brand
from tests.provisioning.admin.conftest import Make, State, page_of

pytestmark = pytest.mark.once

AsRole = Callable[[str], Client]
ALL = ["Overview", "Sign-ups", "Brands", "Team", "Settings and health"]


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("", ["Overview"]),
        ("Viewer", ["Overview", "Sign-ups", "Settings and health"]),
        ("Operator", ["Overview", "Sign-ups", "Settings and health"]),
        ("Administrator", ALL),
    ],
)
def test_the_navigation_shows_the_sections_that_a_role_may_use(as_role: AsRole, role: str, names: list[str]) -> None:
    client = as_role(role)
    sections = client.get("/admin/").context["navigation"]
    assert [section.name for section in sections] == names
    assert {client.get(page.url).status_code for section in sections for page in [section, *section.pages]} == {200}


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["add", "change", "delete", "view"])
def test_the_navigation_works_for_a_role_of_ones_own(client: Client, verb: str) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith=f"{verb}_"))
    client.force_login(user)

    overview = client.get("/admin/")

    pages = {page.url for section in overview.context["navigation"] for page in section.pages}
    assert overview.status_code == 200
    assert {client.get(page).status_code for page in pages} <= {200}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "permission"),
    [
        ("provisioning/delivery", "view_delivery"),
        ("provisioning/listentry", "view_gateway"),
        ("signup/mail", "view_mail"),
    ],
)
def test_rows_that_name_customers_are_for_staff_who_may_view_accounts(
    client: Client, rows: str, permission: str
) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    client.force_login(user)
    answers = []
    for codename in (permission, "view_account"):
        user.user_permissions.add(Permission.objects.get(codename=codename))
        answers.append(client.get(f"/admin/{rows}/").status_code)

    assert answers == [403, 200]


def test_staff_without_a_role_are_told_whom_to_ask(as_role: AsRole) -> None:
    assert "Ask an administrator for one." in as_role("").get("/admin/").content.decode()


def test_the_navigation_shows_where_a_page_is_and_leads_back(admin_client: Client, make: Make) -> None:
    page = admin_client.get(page_of(make(State.QUEUED)))
    current = [
        (section.name, link.name) for section in page.context["navigation"] for link in section.pages if link.current
    ]
    assert current == [("Sign-ups", "Accounts")]
    crumbs = page.content.decode().split('aria-label="Breadcrumbs"')[1].split("</nav>")[0]
    assert '<a href="/admin/provisioning/account/">Accounts</a>' in crumbs


@pytest.mark.parametrize(
    ("path", "name"),
    [("provisioning/worker", "Workers"), ("auth/group", "Roles"), ("otp_totp/totpdevice", "Authenticator apps")],
)
def test_a_list_has_the_same_name_as_in_the_navigation(admin_client: Client, path: str, name: str) -> None:
    page = admin_client.get(f"/admin/{path}/").content.decode()
    assert f"<h1>{name}</h1>" in page
    assert "Select " not in page.split("</h1>")[0]


@pytest.mark.parametrize("path", ["auth/user", "provisioning/endpoint", "signup/apikey", "signup/brand"])
def test_a_form_has_one_button_to_save(admin_client: Client, path: str) -> None:
    page = admin_client.get(f"/admin/{path}/add/").content.decode()

    assert 'name="_save"' in page
    assert 'name="_addanother"' not in page
    assert 'name="_continue"' not in page


def test_the_header_shows_the_brand_of_the_host(admin_client: Client) -> None:
    Brand.objects.create(name="Harbor Marketing", color="#0b7a75")
    page = admin_client.get("/admin/").content.decode()
    assert "Harbor Marketing</span></a>" in page
    assert "--accent:#0b7a75;" in page


def test_tabs_count_the_accounts_in_each_state(
    admin_client: Client, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.admin.filters.StateTabs.MAX_COUNT", 2)
    for state in (State.HELD, *[State.REJECTED] * 2, *[State.CREATED] * 3):
        make(state)
    page = admin_client.get("/admin/provisioning/account/").content.decode()
    for name, count in (("Held", "1"), ("Queued", "0"), ("Rejected", "2"), ("Created", "2+")):
        assert f'{name} <span class="count">{count}</span>' in page


def test_tabs_have_no_counts_while_the_list_is_filtered(admin_client: Client, make: Make) -> None:
    make(State.HELD)
    for query in ({"q": "alder"}, {"country_code": "US"}):
        assert 'class="count"' not in admin_client.get("/admin/provisioning/account/", query).content.decode()
    page = admin_client.get("/admin/provisioning/account/", {"state__exact": "held"}).content.decode()
    assert 'Held <span class="count">1</span>' in page


def test_a_model_without_a_section_is_shown_in_the_last_one(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    Worker.objects.create(name="host:1")
    monkeypatch.setattr("provisioning.admin_site.navigation.SECTIONS", {"Settings and health": {}})
    monkeypatch.setattr("provisioning.admin_site.navigation.NAMES", {})
    [_overview, last] = admin_client.get("/admin/").context["navigation"]
    assert "Workers" in [page.name for page in last.pages]


@pytest.mark.parametrize(
    "path", ["auth/user/add/", "signup/brand/add/", "provisioning/worker/1/change/", "password_change/", "two-factor/"]
)
def test_labels_have_no_colon(admin_client: Client, path: str) -> None:
    Worker.objects.create(pk=1, name="web-1")
    page = admin_client.get(f"/admin/{path}").content.decode()
    assert "</label>" in page
    assert ":</label>" not in page


def test_the_heading_of_a_device_does_not_show_its_name(admin_client: Client, admin_user: User) -> None:
    device = TOTPDevice.objects.create(user=admin_user, name="set up after 2026-11-28T10:00")
    for page in ("change", "delete"):
        shown = admin_client.get(f"/admin/otp_totp/totpdevice/{device.pk}/{page}/").content.decode()
        heading = shown.split("<h1>")[1]
        assert f"Authenticator app ({admin_user})" in heading.split("</h1>")[0]
