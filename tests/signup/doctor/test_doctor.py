"""The command `doctor`, and the page with its last result."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from provisioning.models import Worker
from provisioning.sandbox import Server
from signup.doctor import Level, keep
from signup.doctor.findings import failure, ok, warning
from signup.models import Diagnosis
from tests.signup.doctor.conftest import doctor
from tests.signup.test_health import unreachable_database

pytestmark = pytest.mark.django_db


def test_a_working_installation_has_no_failures(
    sandbox: Server, collected_static_files: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Worker.objects.create(name="host:1")

    assert doctor("--json") == 1  # No proxy, and a list that is not calibrated, are warnings.

    findings = json.loads(capsys.readouterr().out)
    failures = [each for each in findings if each["level"] == Level.FAILURE]
    assert failures == []
    assert {each["subject"] for each in findings} >= {"Database", "Workers", "Credentials", "Quota", "Clock"}


def test_a_failure_is_reported_with_its_fix_and_exit_status(
    sandbox: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 2

    assert "FAILURE  Workers: No worker is running.\n         → Start one:" in capsys.readouterr().out


def test_without_a_database_the_report_names_it_wherever_it_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    with unreachable_database():
        assert doctor() == 2

    said = capsys.readouterr().out
    assert "FAILURE  Workers: Not checked. The database can't be reached.\n" in said
    assert "The check failed" not in said


def test_no_secret_is_in_the_report(sandbox: Server, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.CONSTANT_CONTACT_PASSWORD = "canary-wrong-password"

    assert doctor() == 2

    said = capsys.readouterr().out
    assert "could not be read: HTTP 401" in said
    assert "canary" not in said + str(Diagnosis.objects.values())


def test_administrators_see_the_last_result(client: Client) -> None:
    Diagnosis.objects.create(
        findings=[{"subject": "Workers", "level": "failure", "text": "No worker is running.", "fix": "Start one."}]
    )
    client.force_login(User.objects.create_superuser("dora"))

    page = client.get("/admin/signup/diagnosis/").content.decode()
    assert "<h1>Installation check</h1>" in page
    assert "Failure</span> <strong>Workers</strong>: No worker is running. <small>Start one.</small>" in page


def test_failures_are_named_in_the_overview_and_on_the_page_on_health(client: Client) -> None:
    client.force_login(User.objects.create_superuser("dora"))
    assert "Not run yet" in client.get("/admin/health/").content.decode()

    keep(
        [
            warning("Clock", "It is off.", "Turn on NTP."),
            failure("Workers", "None runs.", "Start one."),
            ok("Quota", ""),
        ]
    )

    overview, health = (client.get(path).content.decode() for path in ("/admin/", "/admin/health/"))
    assert '<a href="/admin/health/#check">The last installation check failed: Workers.</a>' in overview
    first, second = (
        health.index("<strong>Workers</strong>: None runs."),
        health.index("<strong>Clock</strong>: It is off."),
    )
    assert health.index("Failure</span>") < first < health.index("What to do: Start one.") < second

    keep([ok("Quota", "Little is used.")])
    assert "installation check failed" not in client.get("/admin/").content.decode()
    assert "Passed</span>" in client.get("/admin/health/").content.decode()


def test_only_the_last_result_is_kept(sandbox: Server) -> None:
    doctor()
    doctor()

    assert Diagnosis.objects.count() == 1
