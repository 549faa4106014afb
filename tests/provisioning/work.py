"""Helpers for provisioning's tests: sign-ups, moving time, and a worker in this process."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from provisioning import gateway, services
from provisioning.management.commands.provision import claim_job
from provisioning.models import Account, Attempt, Gateway, ListEntry, ListPass
from provisioning.sealed import NOTHING, Sealed
from tests.provisioning.values import SIGN_UP

State = Account.State
NAME: str = SIGN_UP["username"]
Result = TypeVar("Result")

_account_ids = map(str, itertools.count(1_000_001))

MOMENT = timedelta(milliseconds=10)


def sign_up(**changes: Any) -> Account:
    return services.submit(services.prepare(SIGN_UP | changes, uuid.uuid4()))


def account_in(state: str, **columns: Any) -> Account:
    """Create an account directly in a state that would take many steps to reach."""
    values = SIGN_UP | {"password": NOTHING if state in Account.FINAL else Sealed.of(SIGN_UP["password"])}
    values |= {
        "account_id": next(_account_ids) if state == State.CREATED else "",
        "due_at": Now(),
        "claim": uuid.uuid4(),
    }
    account = Account.objects.create(submission=uuid.uuid4(), state=state, **values | columns)
    account.refresh_from_db()
    return account


def again(account: Account) -> Account:
    """Return the account as it is stored now."""
    return Account.objects.get(pk=account.pk)


def now() -> datetime:
    """Return the time by the database's clock."""
    gateway.state()
    moment: datetime = Gateway.objects.values_list(Now(), flat=True).get()
    return moment


def pass_time(time: timedelta = MOMENT) -> None:
    """Let time pass by moving all stored times into the past, instead of waiting."""
    Account.objects.update(
        due_at=F("due_at") - time,
        submitted_at=F("submitted_at") - time,
        state_changed_at=F("state_changed_at") - time,
        created_at=F("created_at") - time,
    )
    Attempt.objects.update(started_at=F("started_at") - time, ended_at=F("ended_at") - time)
    Gateway.objects.update(
        next_call_at=F("next_call_at") - time,
        paused_until=F("paused_until") - time,
        probe_until=F("probe_until") - time,
    )
    ListPass.objects.update(started_at=F("started_at") - time, ended_at=F("ended_at") - time, due_at=F("due_at") - time)
    ListEntry.objects.update(first_seen_at=F("first_seen_at") - time, last_seen_at=F("last_seen_at") - time)


def work(jobs: int | None = None) -> int:
    """Work like a worker until nothing is due, no call may start, or `jobs` are done; return how many were done."""
    done = 0
    with suppress(gateway.CallNotPermitted):
        while done != jobs:
            services.expire()
            services.settle_complete_pass()
            pass_time()
            if not (job := claim_job()):
                break
            job()
            done += 1
    return done


def at_once(times: int, act: Callable[[int], Result]) -> list[Result]:
    """Call `act` this many times at once, each on its own thread with its own database connection."""
    barrier = threading.Barrier(times)

    def one(number: int) -> Result:
        barrier.wait()
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def database_url() -> str:
    """Return the tests' database as a DATABASE_URL for another process."""
    to = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{to['NAME']}"
    return f"postgres://{to['USER']}:{to['PASSWORD']}@{to['HOST']}:{to['PORT']}/{to['NAME']}"
