"""Customers, visitors, or staff don't get what they should: emails, pages, rights."""

from __future__ import annotations

import json
from datetime import timedelta
from http.client import IncompleteRead
from smtplib import SMTPAuthenticationError, SMTPServerDisconnected
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from pytest_django import Settings

from signup.brand.models import Brand
from signup.doctor import mail_server, public_address
from signup.models import Mail
from signup.visitors import network
from tests.operations.symptoms import banner, refused, symptom
from tests.provisioning.work import State, account_in

pytestmark = pytest.mark.django_db(transaction=True)


@symptom("The mail server did not accept the email")
def test_a_mail_server_that_refuses_is_named_by_the_doctor(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": "any"}
    monkeypatch.setattr(mail, "get_connection", Mock(side_effect=SMTPAuthenticationError(535, b"no")))

    (finding,) = mail_server.check()

    assert finding.text.startswith("The mail server did not accept the email")


@symptom("The mail server does not answer")
@pytest.mark.parametrize("error", [SMTPServerDisconnected, TimeoutError, ConnectionRefusedError])
def test_a_mail_server_that_hangs_is_not_said_to_refuse(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    settings.EMAIL_URL = {"EMAIL_BACKEND": "any"}
    monkeypatch.setattr(mail, "get_connection", Mock(side_effect=error))

    (finding,) = mail_server.check()

    assert finding.text == f"The mail server does not answer: {error.__name__}."
    assert "DEFAULT_FROM_EMAIL" not in finding.fix


@symptom("could not be sent.")
def test_emails_that_the_mail_server_does_not_take_are_on_the_overview() -> None:
    Mail.objects.create(account=account_in(State.QUEUED), due_at=Now(), tries=1, problem="SMTPServerDisconnected")
    assert "1 email to customers could not be sent." in banner()

    Mail.objects.update(due_at=None, sent_at=Now(), problem="")
    assert "could not be sent." not in banner()


@symptom("been due for more than five minutes.")
def test_emails_that_no_worker_tries_to_send_are_on_the_overview(settings: Settings) -> None:
    """A worker without EMAIL_URL leaves them where they are."""
    settings.EMAIL_URL = {"EMAIL_BACKEND": "any"}
    Mail.objects.create(account=account_in(State.QUEUED), due_at=Now() - timedelta(minutes=4))
    assert "been due for more than" not in banner()

    Mail.objects.update(due_at=Now() - timedelta(minutes=6))
    assert "1 email has been due for more than five minutes." in banner()


@symptom("Pages redirect to themselves")
def test_a_proxy_that_hides_https_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "_ask", Mock(return_value=(301, b"")))

    (finding,) = public_address.check("https://signup.example.com")

    assert finding.text.startswith("Pages redirect to themselves")
    assert "TRUSTED_PROXIES" in finding.fix


@symptom("gets no answer from the web server")
def test_a_proxy_without_a_web_server_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "_ask", Mock(return_value=(502, b"")))

    (finding,) = public_address.check("https://signup.example.com")

    assert "gets no answer from the web server (502)." in finding.text


@symptom("It cuts large responses short.")
def test_a_proxy_that_cannot_buffer_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"slow": False, "host": "signup.example.com", "visitor": "10.0.0.7", "has_address": True, "is_secure": True}
    right = (200, json.dumps(seen).encode())
    monkeypatch.setattr(public_address, "_ask", Mock(side_effect=[right, right, IncompleteRead(b"", 9)]))

    *_, finding = public_address.check("https://signup.example.com")

    assert finding.text == "It cuts large responses short."
    assert "log" in finding.fix


@symptom("is not valid")
def test_an_expired_certificate_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_address, "_ask", Mock(side_effect=refused("certificate has expired")))

    (finding,) = public_address.check("https://signup.example.com")

    assert finding.text == "The certificate of https://signup.example.com is not valid (certificate has expired)."


@symptom("You have no role yet.")
def test_a_role_without_rights_is_told_to_whoever_logs_in() -> None:
    user = User.objects.create(username="olga", is_staff=True)
    user.groups.add(operators := Group.objects.get(name="Operator"))
    operators.permissions.clear()
    page = Client()
    page.force_login(user)

    assert "You have no role yet." in page.get("/admin/").content.decode()


@symptom("The reverse proxy hides visitors' addresses.")
def test_a_proxy_without_forwarded_addresses_is_seen_on_the_overview(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]

    network(RequestFactory(REMOTE_ADDR="10.0.0.1").get("/"))

    assert "X-Forwarded-For" in caplog.text
    assert "The reverse proxy hides visitors' addresses." in banner()


@symptom("Invalid HTTP_HOST header")
def test_a_host_name_that_is_not_served_is_named_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWED_HOSTS = ["singup.example.com"]

    assert Client().get("/", headers={"host": "signup.example.com"}).status_code == 400

    assert "Invalid HTTP_HOST header: 'signup.example.com'." in caplog.text


@symptom("not in ALLOWED_HOSTS")
def test_a_brand_whose_host_is_not_served_is_on_the_overview(settings: Settings) -> None:
    Brand.objects.create(host="shop.example.com", name="Shop")
    settings.ALLOWED_HOSTS = ["testserver"]
    assert "Visitors can't open shop.example.com: it is not in ALLOWED_HOSTS." in banner()

    settings.ALLOWED_HOSTS = ["testserver", "shop.example.com"]
    assert "not in ALLOWED_HOSTS" not in banner()
