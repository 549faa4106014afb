"""Permissions: every URL of the admin, as every role, by GET and by POST, against one table.

A new URL of the admin needs a row in the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning import gateway
from provisioning.models import (
    Account,
    AuditEntry,
    Delivery,
    Endpoint,
    Event,
    Incident,
    ListEntry,
    ListPass,
    NoticeRule,
    Worker,
)
from provisioning.sealed import Sealed
from signup.models import ApiKey, Brand, Diagnosis, LegalText, Mail
from tests.provisioning.admin.conftest import Make, State

ROLES = ("nobody", "no group", "Viewer", "Operator", "Administrator", "superuser")
CODES = {200: ".", 302: "R", 403: "F", 404: "N", 405: "M"}
"""`L` redirects to the login, `R` anywhere else; `.` is the page, `F` forbidden, `N` not found, `M` a wrong method."""
# Name, GET, and POST, each as nobody, no group, Viewer, Operator, Administrator, superuser
TABLE = """
app_list                        LN.... LN....
auth_group_add                  LFFFF. LFFFF.
auth_group_change               LFFF.. LFFFF.
auth_group_changelist           LFFF.. LFFF..
auth_group_delete               LFFFF. LFFFF.
auth_group_history              LFFF.. LFFF..
auth_user_add                   LFFF.. LFFF..
auth_user_change                LFFF.. LFFF..
auth_user_changelist            LFFF.. LFFF..
auth_user_delete                LFFFFF LFFFFF
auth_user_history               LFFF.. LFFF..
auth_user_password_change       LFFF.. LFFF..
auth_user_sessions              LFFF.. LFFFNN
autocomplete                    LNNNNN LNNNNN
confirm                         L..... L.....
health                          LF.... LF....
index                           L..... L.....
jsi18n                          L..... LMMMMM
login                           .RRRRR ......
logout                          RMMMMM R.....
otp_totp_totpdevice_add         LFFFFF LFFFFF
otp_totp_totpdevice_change      LFFF.. LFFFFF
otp_totp_totpdevice_changelist  LFFF.. LFFF..
otp_totp_totpdevice_delete      LFFF.. LFFF..
otp_totp_totpdevice_history     LFFF.. LFFF..
password_change                 L..... L.....
password_change_done            L..... LMMMMM
provisioning_account_add        LFFFFF LFFFFF
provisioning_account_approve    LFFRRR LFFRRR
provisioning_account_assign     LFF... LFF...
provisioning_account_change     LF.... LFFFFF
provisioning_account_changelist LF.... LF....
provisioning_account_close      LFFRRR LFFRRR
provisioning_account_columns    LMMMMM LFRRRR
provisioning_account_correct    LFFRRR LFFRRR
provisioning_account_customer   LF.... LMMMMM
provisioning_account_decide     LFFRRR LFFRRR
provisioning_account_decline    LFFRRR LFFRRR
provisioning_account_delete     LFFFFF LFFFFF
provisioning_account_email      LMMMMM LFFRRR
provisioning_account_erase      LFFF.. LFFF..
provisioning_account_export     LFF... LFF...
provisioning_account_held       LF.... LFFFFF
provisioning_account_history    LFRRRR LFRRRR
provisioning_account_link       LMMMMM LFF...
provisioning_account_look_up    LFFRRR LFFRRR
provisioning_account_note       LMMMMM LFFRRR
provisioning_account_retry      LFFRRR LFFRRR
provisioning_account_token      LFFF.. LFFF..
provisioning_account_wipe_token LFFF.. LFFF..
provisioning_auditentry_add     LFFFFF LFFFFF
provisioning_auditentry_change  LF.... LFFFFF
provisioning_auditentry_changelist LF.... LF....
provisioning_auditentry_delete  LFFFFF LFFFFF
provisioning_auditentry_export  LFF... LFF...
provisioning_auditentry_history LF.... LF....
provisioning_delivery_add       LFFFFF LFFFFF
provisioning_delivery_change    LF.... LFFFFF
provisioning_delivery_changelist LF.... LF....
provisioning_delivery_delete    LFFFFF LFFFFF
provisioning_delivery_history   LF.... LF....
provisioning_delivery_replay    LMMMMM LFFRRR
provisioning_endpoint_add       LFFF.. LFFF..
provisioning_endpoint_change    LF.... LFFF..
provisioning_endpoint_changelist LF.... LF....
provisioning_endpoint_delete    LFFF.. LFFF..
provisioning_endpoint_history   LF.... LF....
provisioning_endpoint_secret    LFFF.. LFFF..
provisioning_endpoint_switch    LMMMMM LFFFRR
provisioning_endpoint_test      LMMMMM LFFFRR
provisioning_gateway_add        LFFFFF LFFFFF
provisioning_gateway_change     LF.... LFFFFF
provisioning_gateway_changelist LF.... LFFFFF
provisioning_gateway_delete     LFFFFF LFFFFF
provisioning_gateway_history    LF.... LF....
provisioning_gateway_resume     LMMMMM LFFRRR
provisioning_incident_add       LFFFFF LFFFFF
provisioning_incident_change    LF.... LFFFFF
provisioning_incident_changelist LF.... LF....
provisioning_incident_delete    LFFFFF LFFFFF
provisioning_incident_history   LF.... LF....
provisioning_listentry_add      LFFFFF LFFFFF
provisioning_listentry_change   LF.... LFFFFF
provisioning_listentry_changelist LF.... LF....
provisioning_listentry_delete   LFFFFF LFFFFF
provisioning_listentry_history  LF.... LF....
provisioning_listpass_add       LFFFFF LFFFFF
provisioning_listpass_change    LF.... LFFFFF
provisioning_listpass_changelist LF.... LF....
provisioning_listpass_delete    LFFFFF LFFFFF
provisioning_listpass_history   LF.... LF....
provisioning_noticerule_add     LFFF.. LFFF..
provisioning_noticerule_change  LFFF.. LFFF..
provisioning_noticerule_changelist LFFF.. LFFF..
provisioning_noticerule_delete  LFFF.. LFFF..
provisioning_noticerule_history LFFF.. LFFF..
provisioning_worker_add         LFFFFF LFFFFF
provisioning_worker_change      LF.... LFFFFF
provisioning_worker_changelist  LF.... LF....
provisioning_worker_delete      LFFFFF LFFFFF
provisioning_worker_history     LF.... LF....
sessions                        L..... LNNNNN
signup_apikey_add               LFFF.. LFFF..
signup_apikey_change            LFFF.. LFFF..
signup_apikey_changelist        LFFF.. LFFF..
signup_apikey_delete            LFFFFF LFFFFF
signup_apikey_history           LFFF.. LFFF..
signup_apikey_revoke            LFFF.. LFFFRR
signup_brand_add                LFFF.. LFFF..
signup_brand_change             LFFF.. LFFF..
signup_brand_changelist         LFFF.. LFFF..
signup_brand_delete             LFFF.. LFFF..
signup_brand_history            LFFF.. LFFF..
signup_diagnosis_add            LFFFFF LFFFFF
signup_diagnosis_change         LFFF.. LFFFFF
signup_diagnosis_changelist     LFFF.. LFFFFF
signup_diagnosis_delete         LFFFFF LFFFFF
signup_diagnosis_history        LFFF.. LFFF..
signup_legaltext_add            LFFF.. LFFF..
signup_legaltext_change         LFFF.. LFFF..
signup_legaltext_changelist     LFFF.. LFFF..
signup_legaltext_delete         LFFF.. LFFF..
signup_legaltext_history        LFFF.. LFFF..
signup_mail_add                 LFFFFF LFFFFF
signup_mail_change              LF.... LFFFFF
signup_mail_changelist          LF.... LF....
signup_mail_delete              LFFFFF LFFFFF
signup_mail_history             LF.... LF....
two_factor                      L..... L.....
view_on_site                    LNNNNN LNNNNN
"""


def table() -> dict[str, tuple[str, str]]:
    rows = (line.split() for line in TABLE.strip().splitlines())
    return {name: (get, post) for name, get, post in rows}


def names() -> list[str]:
    """Return the names of every URL of the admin."""
    return sorted(_names(admin.site.get_urls()))


def _names(patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _names(pattern.url_patterns)
        elif pattern.name:
            yield pattern.name


@pytest.fixture
def there(make: Make) -> dict[str, str]:
    """Create one object of each kind, for the URLs' arguments."""
    account = make(State.CREATED)
    colleague = User.objects.create_user("colleague", is_staff=True)
    crm = Endpoint.objects.create(name="CRM", url="https://crm.example.com/", secret=Sealed.of("whsec_AAAA"))
    event = Event.objects.create(type="gateway.stopped", is_routed=True)
    rows = {
        "provisioning_account": account,
        "provisioning_auditentry": AuditEntry.objects.create(account=account, what="Approved"),
        "provisioning_delivery": Delivery.objects.create(event=event, endpoint=crm),
        "provisioning_endpoint": crm,
        "provisioning_gateway": gateway.state(),
        "provisioning_incident": Incident.objects.create(kind="worker"),
        "provisioning_noticerule": NoticeRule.objects.create(name="Support"),
        "provisioning_listentry": ListEntry.objects.create(account_id="1"),
        "provisioning_listpass": ListPass.objects.create(source="sandbox"),
        "provisioning_worker": Worker.objects.create(name="one"),
        "auth_user": colleague,
        "auth_group": Group.objects.get(name="Viewer"),
        "otp_totp_totpdevice": TOTPDevice.objects.create(user=colleague, name="TOTP", confirmed=True),
        "signup_apikey": ApiKey.objects.create(name="Website"),
        "signup_brand": Brand.objects.create(name="Alder"),
        "signup_legaltext": LegalText.objects.create(brand=Brand.objects.create(host="testserver"), text="Terms"),
        "signup_diagnosis": Diagnosis.objects.create(findings=[]),
        "signup_mail": Mail.objects.create(account=account, origin="https://signup.example.com/"),
    }
    return {name: str(row.pk) for name, row in rows.items()}


def address(name: str, there: dict[str, str]) -> str:
    if name == "view_on_site":
        return reverse(f"admin:{name}", args=[ContentType.objects.get_for_model(Account).pk, 1])
    if name == "app_list":
        return reverse(f"admin:{name}", args=["provisioning"])
    if name == "provisioning_account_export":
        return reverse(f"admin:{name}", args=["csv"])
    of = next((pk for model, pk in there.items() if name.startswith(f"{model}_")), "")
    alone = not of or name.endswith(("_changelist", "_add", "_resume", "_held", "_columns", "entry_export"))
    return reverse(f"admin:{name}", args=[] if alone else [of])


@pytest.fixture
def browsers(db: None) -> list[Client]:
    """Return a browser for each role."""
    clients = [Client()]
    for role in ROLES[1:]:
        user = User.objects.create_user(role, is_staff=True, is_superuser=role == "superuser")
        user.groups.set(Group.objects.filter(name=role))
        clients.append(Client())
        clients[-1].force_login(user)
    return clients


def ask(client: Client, method: str, path: str) -> str:
    """Return the code of the response. Its changes are rolled back."""
    with transaction.atomic():
        response = getattr(client, method)(path)
        code = CODES.get(response.status_code, str(response.status_code))
        transaction.set_rollback(True)
    return "L" if code == "R" and response.headers["Location"].startswith("/admin/login/") else code


@pytest.mark.once
@pytest.mark.parametrize("name", names())
def test_every_address_answers_every_role_as_in_the_table(
    name: str, there: dict[str, str], browsers: list[Client]
) -> None:
    path = address(name, there)
    answers = tuple("".join(ask(client, method, path) for client in browsers) for method in ("get", "post"))
    assert (name, answers) == (name, table().get(name))


@pytest.mark.once
def test_who_is_refused_a_row_cannot_tell_whether_it_exists(there: dict[str, str], browsers: list[Client]) -> None:
    missing = dict.fromkeys(there, "987654321")

    def answer(client: Client, method: str, path: str) -> tuple[int, str]:
        response = getattr(client, method)(path)
        changing = 'nonce="[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"'
        return response.status_code, re.sub(changing, "", response.text.replace(path, ""))

    tried = 0
    for name, (get, post) in table().items():
        of_row, of_none = address(name, there), address(name, missing)
        for method, codes in (("get", get), ("post", post)):
            for client, code in zip(browsers, codes, strict=True):
                if code == "F" and of_row != of_none:
                    tried += 1
                    assert answer(client, method, of_row) == answer(client, method, of_none), name
    assert tried > 100


def test_the_table_names_only_addresses_that_exist() -> None:
    assert set(table()) <= set(names())
