"""Every fault in a call, over real HTTP: the right state, the right calls, and never a retry without a look-up."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import pytest

from provisioning import gateway
from provisioning.models import Account, Attempt
from provisioning.sandbox import FAULTS, Server
from tests.provisioning.constant_contact.deadline import deadline_once
from tests.provisioning.sandbox.partner import BOTH
from tests.provisioning.services.faults.outcomes import Outcome, is_created, reopen
from tests.provisioning.work import State, again, now, sign_up, work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("calibrated")]

CREATED_UNCLEAR = ("hang-after", "reset-after", "trickle", "500-after", "bad-json", "no-id")
"""The account is created, but no answer says so."""
NOTHING_UNCLEAR = ("hang-before", "reset-before", "500", "502", "596", "html", "418")
"""There is no account, but no answer says so."""
NOTHING_CREATED = ("301", "302", "307", "403-html", "404", "405", "406", "415")
"""No account is created, and the answer says so, but not why."""
PERHAPS_LATER = ("503", "later")
"""An answer after which the account may be created later, but too late to make a difference here."""
SILENT = ("hang-before", "hang-after", "trickle")
STOPPING = ("401", "token-end", "inactive", "inactive-html")


@dataclass(frozen=True)
class Course:
    """The effects of a fault: the state right after it, all calls until the account is created, and the pause."""

    state: State
    calls: str
    paused: timedelta | None = None
    stopped: bool = False


TO_MIDNIGHT = timedelta.max
PAUSING_OR_STOPPING: dict[str, dict[str, Any]] = {
    "over-qps": {"paused": timedelta(seconds=1)},
    "429-html": {"paused": timedelta(seconds=2)},  # As its Retry-After asks.
    "over-quota": {"paused": TO_MIDNIGHT},
    **{fault: {"stopped": True} for fault in STOPPING},
}
CREATE = {
    **dict.fromkeys(("slow", "unlisted"), Course(State.CREATED, "POST")),
    **dict.fromkeys(CREATED_UNCLEAR, Course(State.UNCONFIRMED, "POST GET")),
    **dict.fromkeys(NOTHING_UNCLEAR, Course(State.UNCONFIRMED, "POST GET POST")),
    **dict.fromkeys(NOTHING_CREATED, Course(State.QUEUED, "POST POST")),
    **dict.fromkeys(PERHAPS_LATER, Course(State.UNCONFIRMED, "POST GET GET POST")),
    **{fault: Course(State.QUEUED, "POST POST", **details) for fault, details in PAUSING_OR_STOPPING.items()},
}
"""Fault of the call that creates an account → its course."""
LOOK_UP = {
    **dict.fromkeys(("slow", "unlisted"), Course(State.CREATED, "POST GET")),
    **dict.fromkeys(
        (*CREATED_UNCLEAR, *NOTHING_UNCLEAR, *NOTHING_CREATED, *PERHAPS_LATER),
        Course(State.UNCONFIRMED, "POST GET GET"),
    ),
    **{fault: Course(State.UNCONFIRMED, "POST GET GET", **details) for fault, details in PAUSING_OR_STOPPING.items()},
}
"""Fault of the look-up of an account that was created without an answer → its course."""


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_any_fault_in_the_create_call_results_in_one_account(fault: str, sandbox: Server) -> None:
    account, course = sign_up(), CREATE[fault]
    sandbox.provider.fail_next("create", fault)

    run_into(fault, sandbox, jobs=1)

    follows(course, account, sandbox)


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_the_account_is_found_after_any_fault_in_the_look_up(fault: str, sandbox: Server) -> None:
    account, course = sign_up(), LOOK_UP[fault]
    sandbox.provider.fail_next("create", "reset-after")
    sandbox.provider.fail_next("list", fault)

    run_into(fault, sandbox, jobs=2)

    follows(course, account, sandbox)


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_resent_before_the_look_up_is_complete(fault: str, sandbox: Server) -> None:
    account, course = sign_up(), LOOK_UP[fault]
    sandbox.provider.fail_next("create", "reset-before")
    sandbox.provider.fail_next("list", fault)

    run_into(fault, sandbox, jobs=2)

    assert again(account).state == (State.UNCONFIRMED if course.state == State.UNCONFIRMED else State.QUEUED)
    reopen()
    work()
    is_created(account, f"{course.calls} POST", sandbox)


def run_into(fault: str, sandbox: Server, jobs: int) -> None:
    """Do this many jobs, with the fault in the last one."""
    sandbox.provider.delay = 0.1 if fault == "slow" else 1000
    work(jobs - 1)
    before = len(sandbox.provider.calls)
    with deadline_once(lambda: len(sandbox.provider.calls) > before) if fault in SILENT else nullcontext():
        work(1)


def follows(course: Course, account: Account, sandbox: Server) -> None:
    assert again(account).state == course.state
    closure = gateway.current_pause()
    assert (closure is not None and closure.until is None) == course.stopped
    until = closure.until if closure else None
    assert (until is not None) == (course.paused is not None)
    if until and course.paused == TO_MIDNIGHT:
        assert until.astimezone(UTC).time().isoformat() == "00:00:00"
        assert timedelta() < until - now() <= timedelta(days=1)
    elif until and course.paused:
        assert timedelta() < until - now() <= course.paused
    if closure:
        assert work() == 0
        assert again(account).state == course.state
    reopen()
    work()
    is_created(account, course.calls, sandbox)


@pytest.mark.parametrize("fault", PAUSING_OR_STOPPING)
def test_an_account_is_sent_as_soon_as_the_gateway_reopens(fault: str, sandbox: Server) -> None:
    account = sign_up()
    sandbox.provider.fail_next("create", fault)
    work(jobs=1)

    due_at = again(account).due_at
    assert due_at is not None
    assert due_at <= now()
    assert [attempt.outcome for attempt in account.attempts.all()] == [Outcome.NOT_DONE]


@pytest.mark.parametrize("fault", PAUSING_OR_STOPPING)
def test_a_stopped_gateway_delays_all_accounts_and_fails_none(fault: str, sandbox: Server) -> None:
    accounts = [sign_up(username=name) for name in ("anna", "berta", "clara")]
    sandbox.provider.fail_next("create", fault)
    work()

    assert [again(account).state for account in accounts] == [State.QUEUED] * 3
    assert len(sandbox.provider.calls) == 1
    assert Attempt.objects.count() == 1

    reopen()
    work()
    assert [again(account).state for account in accounts] == [State.CREATED] * 3
