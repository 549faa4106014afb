"""Rules about notices in the admin: what they need, and that a channel's URL stays secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from provisioning.models import NoticeRule
from tests.provisioning.admin.test_endpoints import age_proof

AsRole = Callable[[str], Client]
ADD = "/admin/provisioning/noticerule/add/"
URL = "https://hooks.example.com/services/canary-token"
ENTERED = {"name": "Support", "incidents": ["stopped"], "when": "at_once", "channel": "slack", "webhook": URL}


MAIL_SERVER = {"EMAIL_HOST": "mail.example.com"}


@pytest.fixture
def administrator(as_role: AsRole) -> Client:
    return as_role("Administrator")


def test_a_channel_is_added_and_its_url_is_never_shown(administrator: Client) -> None:
    assert administrator.post(ADD, ENTERED).status_code == 302
    rule = NoticeRule.objects.get()
    assert rule.url.open() == URL
    address = f"/admin/provisioning/noticerule/{rule.pk}/change/"
    assert "canary-token" not in administrator.get(address).content.decode()
    assert administrator.post(address, ENTERED | {"webhook": "", "name": "Sales"}).status_code == 302
    rule.refresh_from_db()
    assert (rule.name, rule.url.open()) == ("Sales", URL)


def test_a_person_is_added(administrator: Client, settings: Settings) -> None:
    settings.EMAIL_URL = MAIL_SERVER
    dora = User.objects.create_user("dora", "dora@example.com", is_staff=True)
    administrator.post(ADD, ENTERED | {"channel": "email", "user": dora.pk})
    rule = NoticeRule.objects.get()
    assert (rule.user, bool(rule.url)) == (dora, False)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"incidents": []}, "required"),
        ({"webhook": ""}, "incoming webhook"),
        ({"webhook": "https://10.0.0.1/"}, "WEBHOOK_PRIVATE_NETWORKS"),
        ({"webhook": "hooks"}, "Enter a URL"),
        ({"channel": "email"}, "email address"),
    ],
)
def test_a_rule_that_could_tell_nobody_is_refused(administrator: Client, changes: Any, problem: str) -> None:
    response = administrator.post(ADD, ENTERED | changes)
    assert problem in response.content.decode()
    assert not NoticeRule.objects.exists()


@pytest.mark.parametrize(("mail_server", "is_added"), [({}, False), (MAIL_SERVER, True)])
def test_an_email_needs_a_mail_server(
    administrator: Client, settings: Settings, mail_server: dict[str, str], is_added: bool
) -> None:
    settings.EMAIL_URL = mail_server
    dora = User.objects.create_user("dora", "dora@example.com", is_staff=True)
    page = administrator.post(ADD, ENTERED | {"channel": "email", "user": dora.pk}).content.decode()
    assert ("There is no mail server: set EMAIL_URL" in page) is not is_added
    assert NoticeRule.objects.exists() is is_added


def test_without_a_mail_server_a_rule_can_move_to_a_channel(administrator: Client, settings: Settings) -> None:
    settings.EMAIL_URL = {}
    dora = User.objects.create_user("dora", "dora@example.com", is_staff=True)
    rule = NoticeRule.objects.create(name="Support", incidents=["stopped"], user=dora)
    address = f"/admin/provisioning/noticerule/{rule.pk}/change/"
    assert administrator.post(address, ENTERED | {"user": dora.pk}).status_code == 302
    rule.refresh_from_db()
    assert (rule.channel, rule.url.open()) == ("slack", URL)


def test_changing_a_rule_keeps_what_workers_have_recorded_meanwhile(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, the day's digest would be sent again."""
    administrator.post(ADD, ENTERED)
    rule = NoticeRule.objects.get()
    meanwhile = {"digest_on": date(2026, 1, 5), "problem": "The channel answered 500."}
    monkeypatch.setattr(NoticeRule, "clean", lambda self: NoticeRule.objects.update(**meanwhile))

    administrator.post(f"/admin/provisioning/noticerule/{rule.pk}/change/", ENTERED | {"name": "Sales"})

    assert NoticeRule.objects.filter(name="Sales", **meanwhile).exists()


def test_without_fresh_proof_nothing_is_added(administrator: Client) -> None:
    age_proof(administrator)
    administrator.post(ADD, ENTERED)
    assert not NoticeRule.objects.exists()
