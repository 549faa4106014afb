"""The web server or the worker doesn't run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from pytest_django import Settings

from provisioning.models import Worker
from provisioning.sandbox import Server
from provisioning.services import record_heartbeat, retry_unsendable
from signup.doctor import installation
from tests.operations.symptoms import banner, symptom
from tests.provisioning.work import State, account_in, again, pass_time, sign_up, work
from tests.signup.test_version import VERSION

pytestmark = pytest.mark.django_db(transaction=True)


@symptom("Static files are not collected.")
def test_missing_static_files_are_named_before_the_web_server_starts(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path

    assert any("Static files are not collected." in finding.text for finding in installation.check_settings())


@symptom(".env cannot be read: Permission denied.")
def test_an_unreadable_env_file_is_the_first_that_is_named(settings: Settings) -> None:
    settings.MISTAKES = {".env": ".env cannot be read: Permission denied."}  # test_configuration.py has the real one.
    settings.SEALING_KEYS = []

    first, *_others = installation.check_settings()

    assert ".env cannot be read: Permission denied." in first.text


@symptom("No worker is running.")
def test_a_killed_worker_is_missed_and_its_account_taken_over(sandbox: Server) -> None:
    Worker.objects.create(name="killed:1", seen_at=Now() - timedelta(minutes=2))
    account = account_in(State.SENDING)
    assert "No worker is running." in banner()
    assert [finding.text for finding in installation.check_workers()] == ["No worker is running."]

    for _ in range(3):
        work()
        pass_time(timedelta(minutes=2))
    assert again(account).state == State.CREATED
    assert len([call for call in sandbox.provider.calls if call.method == "POST"]) == 1


@symptom("can't be sent with a worker's settings.")
def test_a_worker_without_the_newest_key_is_on_the_overview(sandbox: Server, settings: Settings) -> None:
    """The web server was restarted with a new key, and the worker was not."""
    account, right = sign_up(), settings.SEALING_KEYS
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    work()
    assert "1 account can't be sent with a worker's settings." in banner()
    assert again(account).state == State.QUEUED

    settings.SEALING_KEYS = right
    retry_unsendable()  # As each worker does at its start.
    assert "can't be sent" not in banner()
    work()
    assert again(account).state == State.CREATED


@symptom("A worker runs another version than this page")
def test_a_worker_that_an_upgrade_has_missed_is_on_the_overview() -> None:
    Worker.objects.create(name="host:1", version="0.9.0")
    assert f"A worker runs another version than this page: 0.9.0, not {VERSION}." in banner()
    named, *_others = installation.check_workers()
    assert named.text == f"host:1 runs version 0.9.0, and this is {VERSION}."

    record_heartbeat("host:1")
    assert "another version" not in banner()


@symptom("No key in SEALING_KEYS opens the newest sealed secret.")
def test_a_wrong_sealing_key_is_refused_until_the_right_one_is_added(settings: Settings) -> None:
    sign_up()
    right, wrong = settings.SEALING_KEYS, Fernet.generate_key().decode()
    settings.SEALING_KEYS = [wrong]
    with pytest.raises(CommandError, match="No key in SEALING_KEYS opens the newest sealed secret"):
        call_command("check_keys")
    assert [finding.text for finding in installation.check_sealing_keys()] == [
        "No key in SEALING_KEYS opens the newest sealed secret."
    ]

    settings.SEALING_KEYS = [wrong, *right]
    call_command("check_keys", verbosity=0)
