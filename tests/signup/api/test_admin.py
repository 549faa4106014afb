"""API keys in the admin: shown once, and revoked at once."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from provisioning.admin_site import sessions
from signup.api import keys
from signup.api.models import Scope
from signup.models import ApiKey, Brand
from tests.signup.api.partner import SIGNUPS, Partner

pytestmark = [pytest.mark.django_db, pytest.mark.once]

KEYS = "/admin/signup/apikey/"
NEW: dict[str, Any] = {
    "name": "Website",
    "scopes": ["create", "read"],
    "networks": "203.0.113.0/24\n2001:db8::1",
    "brand": "",
}


@pytest.fixture
def administrator(client: Client) -> Client:
    user = User.objects.create_user("ana", is_staff=True)
    user.groups.set(Group.objects.filter(name="Administrator"))
    client.force_login(user)
    return client


def make(administrator: Client, **changes: Any) -> str:
    """Create a key, and return it as the page shows it."""
    page = administrator.post(f"{KEYS}add/", NEW | changes)
    found = re.search(r"<code>(ccs_[\w-]+)</code>", page.content.decode())
    assert found, page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    return found[1]


def test_a_new_key_is_shown_once_and_works(administrator: Client) -> None:
    brand = Brand.objects.create(name="Alder", host="alder.example.com")

    whole = make(administrator, brand=brand.pk)

    key = ApiKey.objects.get()
    assert keys.find(whole) == key
    assert (key.name, key.scopes, key.brand, str(key.created_by)) == ("Website", ["create", "read"], brand, "ana")
    for path in (KEYS, f"{KEYS}{key.pk}/change/", f"{KEYS}{key.pk}/history/", "/admin/"):
        page = administrator.get(path).content.decode()
        assert whole.split("_", 2)[2] not in page
        assert key.digest not in page
        assert str(key.namespace) not in page
    assert "Website" in LogEntry.objects.get().object_repr


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["everything"]}, {"networks": "my office"}, {"name": ""}, {"brand": "7"}]
)
def test_a_mistake_is_pointed_out_and_no_key_is_made(administrator: Client, wrong: dict[str, Any]) -> None:
    page = administrator.post(f"{KEYS}add/", NEW | wrong)

    assert "errorlist" in page.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("codenames", "scopes"),
    [
        ([], ["create"]),
        (["view_account"], ["create"]),
        (["view_account", "export_account"], ["create", "read"]),
        (["export_account"], ["create"]),
        (["view_account", "correct_account", "approve_account"], ["create", "correct"]),
        (["correct_account"], ["create"]),
    ],
)
def test_nobody_makes_a_key_that_may_do_more_than_they(client: Client, codenames: list[str], scopes: list[str]) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_apikey", "view_apikey", *codenames]))
    client.force_login(user)

    for scope in Scope.values:
        client.post(f"{KEYS}add/", NEW | {"name": scope, "scopes": ["create", scope]})

    assert sorted(ApiKey.objects.values_list("name", flat=True)) == sorted(scopes)


@pytest.mark.parametrize(
    ("scopes", "codenames", "answer"),
    [
        (["create"], [], 302),
        (["create", "read"], [], 403),
        (["create", "read"], ["view_account", "export_account"], 302),
        (["read", "correct"], ["view_account", "export_account"], 403),
        (["staff"], ["view_account", "export_account", "correct_account"], 403),
        (["made-up"], ["view_account", "export_account", "correct_account"], 403),
    ],
)
def test_nobody_changes_a_key_that_may_do_more_than_they_but_revokes_it(
    client: Client, scopes: list[str], codenames: list[str], answer: int
) -> None:
    key = Partner(*scopes, networks="203.0.113.8").key
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_apikey", "view_apikey", *codenames]))
    client.force_login(user)

    page = client.get(f"{KEYS}{key.pk}/change/")
    assert client.post(f"{KEYS}{key.pk}/change/", {"name": "CRM", "networks": ""}).status_code == answer

    assert ApiKey.objects.get().networks == ("" if answer == 302 else "203.0.113.8")
    assert f"{KEYS}{key.pk}/revoke/" in page.content.decode()
    client.post(f"{KEYS}{key.pk}/revoke/")
    assert ApiKey.objects.get().revoked_at


class TestAKeyOfSomebodyWhoHasLeft:
    """It belongs to a system, which goes on. But whoever created it has seen it, so staff are asked to replace it."""

    @pytest.fixture
    def partner(self) -> Partner:
        return Partner(created_by=User.objects.create_user("ben", is_staff=True))

    @pytest.fixture(params=[{"is_active": False}, {"is_staff": False}], ids=str)
    def leaves(self, request: pytest.FixtureRequest, partner: Partner) -> None:
        User.objects.filter(username="ben").update(**request.param)

    def overview(self, browser: Client) -> str:
        return html.unescape(browser.get("/admin/").text)

    def test_nobody_is_asked_before(self, administrator: Client, partner: Partner) -> None:
        assert "who have left" not in self.overview(administrator)
        assert "who has left" not in administrator.get(KEYS).text

    @pytest.mark.usefixtures("leaves")
    def test_works_and_is_named(self, administrator: Client, partner: Partner) -> None:
        assert partner.get(SIGNUPS).status_code == 200
        named = f"1 API key was created by staff who have left: Website ({partner.key.prefix}…), by ben."
        assert named in self.overview(administrator)
        assert "created by ben, who has left" in administrator.get(KEYS).text
        assert "by ben, who has left" in administrator.get(f"{KEYS}{partner.key.pk}/change/").text

    @pytest.mark.usefixtures("leaves")
    def test_is_named_until_it_ends(self, administrator: Client, partner: Partner) -> None:
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert "who have left" not in self.overview(administrator)
        ApiKey.objects.update(expires_at=timezone.now() + timedelta(hours=1))
        assert "who have left" in self.overview(administrator)
        keys.revoke(partner.key)
        assert "who have left" not in self.overview(administrator)


def test_a_key_may_expire(administrator: Client) -> None:
    make(administrator, expires_at="2030-01-31T09:30")
    key = ApiKey.objects.get()

    assert str(key.expires_at) == "2030-01-31 09:30:00+00:00"
    assert 'value="2030-01-31T09:30"' in administrator.get(f"{KEYS}{key.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("zone", "time"), [("America/New_York", "9999-12-31T23:59"), ("Asia/Tokyo", "0001-01-01T00:00")]
)
def test_no_key_expires_at_a_time_that_no_database_holds(
    administrator: Client, settings: Any, zone: str, time: str
) -> None:
    key = Partner("read").key
    settings.TIME_ZONE = zone
    for page, data in ((f"{KEYS}add/", NEW), (f"{KEYS}{key.pk}/change/", {"name": "CRM"})):
        shown = administrator.post(page, data | {"expires_at": time})
        assert "errorlist" in shown.content.decode()
    assert ApiKey.objects.get().expires_at is None


def test_what_a_key_may_do_cant_be_changed(administrator: Client) -> None:
    key = Partner("read").key

    administrator.post(f"{KEYS}{key.pk}/change/", NEW | {"name": "CRM", "scopes": Scope.values, "digest": "x"})

    changed = ApiKey.objects.get()
    assert (changed.name, changed.networks.split()) == ("CRM", NEW["networks"].split())
    assert (changed.scopes, changed.digest, changed.prefix) == (["read"], key.digest, key.prefix)


def test_a_revoked_key_is_refused_at_once_and_cant_be_changed(administrator: Client) -> None:
    partner = Partner()
    assert "Revoke" in administrator.get(f"{KEYS}{partner.key.pk}/change/").content.decode()
    assert "can't be undone" in administrator.get(f"{KEYS}{partner.key.pk}/revoke/").content.decode()
    assert partner.get(SIGNUPS).status_code == 200

    administrator.post(f"{KEYS}{partner.key.pk}/revoke/")

    assert partner.get(SIGNUPS).status_code == 401
    assert "Revoked" in administrator.get(KEYS).content.decode()
    assert "Revoked" in LogEntry.objects.get().get_change_message()
    assert administrator.post(f"{KEYS}{partner.key.pk}/change/", NEW).status_code == 403


def test_a_key_that_a_colleague_revokes_meanwhile_stays_revoked(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = Partner()
    monkeypatch.setattr(ApiKey, "clean", keys.revoke)

    administrator.post(f"{KEYS}{partner.key.pk}/change/", NEW | {"name": "CRM"})

    assert ApiKey.objects.get().revoked_at
    assert partner.get(SIGNUPS).status_code == 401


@pytest.mark.parametrize("path", ["add/", "{}/change/", "{}/revoke/"])
def test_staff_confirm_that_its_them_first(administrator: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(sessions, "REAUTHENTICATE_AFTER", -sessions.REAUTHENTICATE_AFTER)
    partner = Partner()

    for answer in (
        administrator.get(KEYS + path.format(partner.key.pk)),
        administrator.post(KEYS + path.format(partner.key.pk), NEW),
    ):
        assert answer.headers["Location"].startswith("/admin/confirm/")
    assert ApiKey.objects.count() == 1
    assert partner.get(SIGNUPS).status_code == 200


def test_a_brand_with_a_key_cant_be_deleted(administrator: Client) -> None:
    """Otherwise, its key would see the sign-ups of all brands."""
    brand = Brand.objects.create(name="Alder", host="alder.example.com")
    Partner(brand=brand)

    administrator.post(f"/admin/signup/brand/{brand.pk}/delete/", {"post": "yes"})

    assert Brand.objects.exists()
