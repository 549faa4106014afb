"""After everything that can happen to a sign-up, no secret is unencrypted anywhere."""

from __future__ import annotations

import base64
import logging
import signal
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.gateway import permits
from provisioning.mirror import passes
from provisioning.models import Account, Attempt
from provisioning.sandbox import FAULTS, Server
from provisioning.sandbox.faults import Fault
from provisioning.sandbox.messages import Answer
from provisioning.services import workers
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.work import State, pass_time, sign_up

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PASSWORD = "goldfinch-Customer.1"


@pytest.fixture
def sent(settings: Settings) -> list[str]:
    """The secrets sent to the provider, in every spelling."""
    partner, password = settings.CONSTANT_CONTACT_USERNAME, settings.CONSTANT_CONTACT_PASSWORD
    basic = base64.b64encode(f"{partner}:{password}".encode()).decode()
    return [PASSWORD, password, settings.CONSTANT_CONTACT_API_KEY, basic]


@pytest.fixture(autouse=True)
def talkative(settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Log everything that a developer might log while debugging."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(permits, "LATE", 60.0)
    monkeypatch.setattr(passes, "MAX_PASS_BACK_OFF", timedelta())
    settings.CONSTANT_CONTACT_RATE = 1000.0
    settings.CONSTANT_CONTACT_OAUTH2_TOKEN = True
    settings.PROVISION_RECHECK = 0.0
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@BOTH
def test_no_secret_is_left_unencrypted(
    api: str,
    sent: list[str],
    sandbox: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    travel(sandbox, sent, seen, monkeypatch)
    tokens = [account.oauth2_token.open() for account in Account.objects.all() if account.oauth2_token]
    assert bool(tokens) == (api == "v2")

    assert {account.state for account in Account.objects.all()} >= {State.CREATED, State.REJECTED}
    seen += [record.getMessage() for record in caplog.records] + [caplog.text, *capfd.readouterr()]
    seen += [repr(record.__dict__) for record in caplog.records]
    seen += [str(each) + repr(vars(each)) for each in (*Account.objects.all(), *Attempt.objects.all())]
    seen += stored()

    told = "\n".join(seen)
    assert "created" in told
    assert "Traceback" in told
    for secret in (*sent, *tokens, settings.SECRET_KEY, *settings.SEALING_KEYS):
        assert secret not in told


def travel(sandbox: Server, sent: list[str], seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run successes, failures, and a provider that repeats everything it was sent."""
    echo = [{"error_key": "json.value.invalid", "error_message": f"#/phone: {secret}"} for secret in sent]
    repeats = {status: Answer.of(status, [*echo, {"heard": sent}]) for status in (400, 500)}
    for status in repeats:
        fault = Fault(
            description="repeats what it was told", is_carried_out=False, respond=partial(repeat, repeats[status])
        )
        monkeypatch.setitem(FAULTS, f"repeat-{status}", fault)
    faults = ["", "repeat-400", "repeat-500", "reset-after", "reset-before", "over-qps", "later", "no-id", "401"]
    for number, name in enumerate(faults):
        account = sign_up(username=f"canary-{number}", password=PASSWORD)
        seen += [repr(account), repr(vars(account)), f"{account.password}"]
        if name:
            sandbox.provider.fail_next("create", name)
        for _ in range(3):
            call_command("provision", "--once")
            pass_time()
            gateway.resume()
    fail(seen, monkeypatch)


def repeat(answer: Answer, errors: object, truth: Answer) -> Answer:
    return answer


def fail(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours, with all secrets in scope."""
    sign_up(username="canary-last", password=PASSWORD)
    claim = services.claim_account()
    assert claim
    account = claim.account
    client = workers.client()
    seen += [repr(each) for each in (claim, client, client.credentials, vars(client), account.password)]
    monkeypatch.setattr(workers, "settle", lambda account, attempt, answer: 1 / 0)
    pass_time()
    sign_up(username="canary-mistake", password=PASSWORD)
    call_command("provision", "--once")
    monkeypatch.undo()


def stored() -> list[str]:
    """Return the whole database: every byte of SQLite's file, or every column in PostgreSQL."""
    if connection.vendor == "sqlite":
        file = Path(connection.settings_dict["NAME"])
        parts = [part for part in file.parent.iterdir() if part.name.startswith(file.name)]
        assert {f"{file.name}-wal", file.name} <= {part.name for part in parts}
        return [part.read_bytes().decode("latin-1") for part in parts]
    with connection.cursor() as cursor:
        rows: list[Any] = []
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT whole::text FROM "{table}" whole')
            rows += cursor.fetchall()
        return [row for (row,) in rows]
