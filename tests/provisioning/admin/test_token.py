from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse

from provisioning.admin_site.sessions import AUTHENTICATED
from provisioning.audit import AuditEntry
from provisioning.models import Account
from tests.provisioning.admin.conftest import ROLES, TOKEN, Make, State, page_of

AsRole = Callable[[str], Client]


def page(account: Account) -> str:
    return reverse("admin:provisioning_account_token", args=[account.pk])


@pytest.fixture
def administrator(as_role: AsRole) -> Client:
    return as_role("Administrator")


def test_revealing_a_token_is_recorded(administrator: Client, make: Make) -> None:
    account = make(State.CREATED)
    assert TOKEN not in administrator.get(page(account)).content.decode()
    assert not AuditEntry.objects.exists()
    response = administrator.post(page(account))
    assert TOKEN in response.content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.what, entry.who) == ("Access token shown", "administrator-ana")
    assert "Access token shown by administrator-ana." in administrator.get(page_of(account)).content.decode()


def test_without_fresh_proof_no_token_is_shown(administrator: Client, make: Make) -> None:
    session = administrator.session
    session[AUTHENTICATED] -= 601
    session.save()
    response = administrator.post(page(make(State.CREATED)), follow=True)
    assert response.redirect_chain[0][0].startswith("/admin/confirm/")
    assert TOKEN not in response.content.decode()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("role", ROLES)
def test_the_token_page_is_for_administrators(as_role: AsRole, make: Make, role: str) -> None:
    account, client = make(State.CREATED), as_role(role)
    may = role == "Administrator"
    for response in (client.get(page(account)), client.post(page(account))):
        assert response.status_code == (200 if may else 403)
        assert may or TOKEN not in response.content.decode()
    assert (page(account) in client.get(page_of(account)).content.decode()) == may


def test_the_token_page_is_not_cached(administrator: Client, make: Make) -> None:
    response = administrator.post(page(make(State.CREATED)))
    assert "no-store" in response.headers["Cache-Control"]


def test_without_a_token_there_is_no_page(administrator: Client, make: Make) -> None:
    assert administrator.get(page(make(State.CLOSED))).status_code == 404


def test_a_token_sealed_with_a_lost_key_gives_an_explanation(administrator: Client, make: Make, settings: Any) -> None:
    account = make(State.CREATED)
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    response = administrator.post(page(account))
    assert "Add the old key back" in response.content.decode()
