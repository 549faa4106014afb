"""Lists can be filtered only by the lookups that they offer, so no secret can be read one character at a time."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import FieldError
from django.test import Client, RequestFactory
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.models import Account
from tests.provisioning.admin.conftest import Make, State

AsRole = Callable[[str], Client]
DEVICES = "/admin/otp_totp/totpdevice/"


@pytest.fixture
def device(db: None) -> TOTPDevice:
    user = User.objects.create_user("ben", password="ben-word-1", is_staff=True)
    return TOTPDevice.objects.create(user=user, name="TOTP", confirmed=True)


def test_a_colleagues_key_cannot_be_read_by_filtering(as_role: AsRole, device: TOTPDevice) -> None:
    administrator = as_role("Administrator")
    assert administrator.get(DEVICES, {"confirmed__exact": 1}).status_code == 200
    for lookup in ("key__startswith", "key", "key__gte", "drift", "last_t", "user__password__startswith"):
        for value in (device.key[:1], "zz"):
            assert administrator.get(DEVICES, {lookup: value}).status_code == 400, lookup


def test_a_devices_page_shows_only_its_owner(as_role: AsRole, device: TOTPDevice) -> None:
    administrator = as_role("Administrator")
    page = administrator.get(f"{DEVICES}{device.pk}/change/").content.decode()
    assert "ben" in page
    for secret in (device.key, "drift", "throttling", "Tolerance"):
        assert secret not in page
    assert administrator.get(f"{DEVICES}add/").status_code == 403
    for view in ("config", "qrcode"):
        response = administrator.get(f"{DEVICES}{device.pk}/{view}/", follow=True)
        assert response.redirect_chain[-1] == ("/admin/", 302)


@pytest.mark.parametrize(
    "lookup", ["oauth2_token__startswith", "password__startswith", "password__gt", "claim", "due_at__lt", "email"]
)
def test_a_viewer_can_filter_accounts_only_as_the_page_offers(as_role: AsRole, make: Make, lookup: str) -> None:
    make(State.CREATED)
    assert as_role("Viewer").get("/admin/provisioning/account/", {lookup: "g"}).status_code == 400


@pytest.mark.parametrize("lookup", ["startswith", "contains", "gt", "isnull", "regex", "in"])
@pytest.mark.parametrize("name", ["password", "oauth2_token"])
def test_sealed_fields_cannot_be_used_in_lookups(db: None, name: str, lookup: str) -> None:
    with pytest.raises(FieldError):
        Account.objects.filter(**{f"{name}__{lookup}": "g"}).exists()


@pytest.mark.django_db
def test_every_model_allows_only_the_lookups_it_offers(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = User(is_superuser=True, is_staff=True)
    for model, model_admin in admin.site._registry.items():
        assert not model_admin.lookup_allowed("pk__startswith", "1", request), model
        for field in model._meta.get_fields():
            assert not model_admin.lookup_allowed(f"{field.name}__startswith", "1", request), (model, field)


@pytest.mark.django_db
def test_each_filter_that_a_page_offers_works(admin_client: Client, make: Make, device: TOTPDevice) -> None:
    make(State.CREATED, country_code="CA")
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        page = admin_client.get(path)
        assert page.status_code == 200
        shown = page.context.get("cl")  # A table with one row has no list.
        for spec in shown.filter_specs if shown else ():
            for choice in spec.choices(shown):
                assert admin_client.get(path + choice["query_string"]).status_code == 200, (path, choice)


LATEST = "9999-12-31T23:59:59-12:00"
"""A time that is valid, but beyond the last one in UTC."""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    [
        "provisioning/account/?submitted_at__gte=",
        "provisioning/account/export.csv?submitted_at__gte=",
        "provisioning/auditentry/?at__lt=",
        "provisioning/auditentry/export.csv?at__lt=",
    ],
)
def test_a_time_that_no_database_can_compute_is_not_a_server_error(
    admin_client: Client, make: Make, address: str
) -> None:
    make(State.CREATED)
    assert admin_client.get(f"/admin/{address}{quote(LATEST)}", follow=True).status_code == 200


@pytest.mark.django_db
def test_a_search_for_hundreds_of_words_is_not_a_server_error(admin_client: Client, make: Make) -> None:
    make(State.CREATED)
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert admin_client.get(path, {"q": "a " * 1500}).status_code == 200, path
