"""Constant Contact can't be reached, refuses, or is slow."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock
from urllib.error import URLError

import pytest
from django.core.management import call_command
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Gateway
from provisioning.sandbox import Server
from signup.doctor import provider
from tests.operations.symptoms import banner, refused, said, symptom
from tests.provisioning.work import State, again, now, pass_time, sign_up, work

pytestmark = pytest.mark.django_db(transaction=True)


@symptom("Constant Contact answered 401")
def test_a_refused_login_stops_sending_until_it_is_resumed(sandbox: Server, settings: Settings) -> None:
    account, right = sign_up(), settings.CONSTANT_CONTACT_PASSWORD
    settings.CONSTANT_CONTACT_PASSWORD = "canary-wrong"
    work()
    assert "Constant Contact answered 401" in banner()
    assert "Constant Contact answered 401" in said("gateway")
    assert again(account).state == State.QUEUED

    settings.CONSTANT_CONTACT_PASSWORD = right
    call_command("gateway", "resume")
    work()
    assert again(account).state == State.CREATED


@symptom("Today's quota of calls is used up.")
def test_a_used_up_quota_pauses_sending_until_the_next_day(sandbox: Server, settings: Settings) -> None:
    first, second = sign_up(), sign_up(username="second")
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1
    work(2)
    assert "Today's quota of calls is used up." in banner()
    assert "Today's quota of calls is used up." in said("gateway")
    assert again(second).state == State.QUEUED

    pass_time(timedelta(days=1))
    Gateway.objects.update(day=now().date() - timedelta(days=1))
    work()
    assert {again(account).state for account in (first, second)} == {State.CREATED}


@symptom("Constant Contact asked us to pause: too many calls.")
def test_a_quota_that_other_systems_used_up_pauses_sending_until_the_next_day(sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", "over-quota")
    work()
    assert "Constant Contact asked us to pause: too many calls." in banner()
    assert "Constant Contact asked us to pause: too many calls." in said("gateway")

    pass_time(timedelta(days=1))
    work()
    assert again(account).state == State.CREATED


@symptom("Constant Contact is unreachable or not giving clear answers")
def test_a_provider_that_hangs_pauses_sending_until_it_is_back(sandbox: Server, settings: Settings) -> None:
    accounts = [sign_up(username=f"anna-{number}") for number in range(5)]
    sandbox.provider.fail_next("create", "hang-before", times=5)
    settings.CONSTANT_CONTACT_TIMEOUT = 0.3
    work(5)
    settings.CONSTANT_CONTACT_TIMEOUT = 30.0
    assert "Constant Contact is unreachable or not giving clear answers" in banner()
    assert "Constant Contact is unreachable or not giving clear answers" in said("gateway")

    for _ in range(3):
        pass_time(timedelta(minutes=11))
        work()
    assert {again(account).state for account in accounts} == {State.CREATED}


@symptom("calls got no answer.")
def test_a_provider_that_is_slow_is_on_the_overview(sandbox: Server, settings: Settings) -> None:
    accounts = [sign_up(username=f"anna-{number}") for number in range(3)]
    sandbox.provider.fail_next("create", "hang-after", times=3)
    settings.CONSTANT_CONTACT_TIMEOUT = 0.3
    work(3)
    settings.CONSTANT_CONTACT_TIMEOUT = 30.0
    assert "calls got no answer." in banner()

    for _ in range(3):
        pass_time(timedelta(minutes=11))
        work()
    assert {again(account).state for account in accounts} == {State.CREATED}
    assert len([call for call in sandbox.provider.calls if call.method == "POST"]) == 3


@symptom("can be reached, but does not answer in time.")
def test_a_slow_provider_is_not_said_to_be_unreachable(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.provider.latency = 2
    monkeypatch.setattr(provider, "TIMEOUT", 0.3)

    (finding,) = provider.check_connection()

    assert "can be reached, but does not answer in time." in finding.text


@symptom("has no address")
def test_a_failing_dns_is_named_by_the_doctor(settings: Settings) -> None:
    settings.CONSTANT_CONTACT_URL = "https://nowhere.invalid"

    (finding,) = provider.check_connection()

    assert finding.text == "nowhere.invalid has no address."


@symptom("is not accepted")
def test_a_certificate_of_the_provider_that_is_refused_is_named_with_the_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONSTANT_CONTACT_URL = "https://127.0.0.1"
    monkeypatch.setattr(provider, "_headers", Mock(side_effect=URLError(refused("certificate has expired"))))

    (finding,) = provider.check_connection()

    assert finding.text == "The certificate of 127.0.0.1 is not accepted (certificate has expired)."


@symptom("seconds off Constant Contact's")
def test_a_wrong_clock_is_named_by_the_doctor(sandbox: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = now() + timedelta(hours=1)
    monkeypatch.setattr(gateway, "now", lambda: wrong)

    texts = [finding.text for finding in provider.check_connection()]

    assert any("seconds off Constant Contact's" in text for text in texts)
