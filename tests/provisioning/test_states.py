"""Any sequence of events, against a second opinion: the states and their moves, put down again by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck
from hypothesis import settings as thoroughness
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import Answer, Entry, Meaning
from provisioning.models import Account, IllegalMove, MovedMeanwhile
from provisioning.services import settlement, workers
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, pass_time, sign_up

pytestmark = pytest.mark.django_db

MOVES: dict[str, set[str]] = {
    "held": {"queued", "closed"},
    "queued": {"sending", "closed"},
    "sending": {"created", "rejected", "queued", "unconfirmed"},
    "unconfirmed": {"created", "queued", "rejected", "closed"},
    "rejected": {"queued", "closed"},
    "created": set(),
    "closed": set(),
}
"""The table of the design."""
FINAL = {"created", "closed"}
WELL = {"created", "closed", "rejected"}
"""Created, given up, or waiting for a correction."""
NOTHING_DONE = {Meaning.REFUSED, Meaning.TAKEN, Meaning.UNSENT, Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP}
ABSENT = "absent"
ENOUGH = 2
"""Calls without an answer after which staff are asked."""
NONE, SECOND, LEASE, WEEK = timedelta(), timedelta(seconds=1), timedelta(seconds=60), timedelta(days=7)

ALLOWED = {
    ("approve", "held"): "queued",
    ("decline", "held"): "closed",
    ("close", "queued"): "closed",
    ("close", "rejected"): "closed",
    ("close", "unconfirmed"): "closed",
    ("retry", "queued"): "queued",
    ("retry", "rejected"): "queued",
    ("look_up", "unconfirmed"): "unconfirmed",
}
"""What staff may do, and what it leads to. Not in it: `retry` of what is unconfirmed, but was looked for in vain."""

NAMES = st.sampled_from(["anna", "berta"])
PICK = st.integers(min_value=0, max_value=11)


@dataclass(eq=False)
class Call:
    """A call for one account, from its claim on."""

    username: str
    creates: bool
    went_out: int = -1
    learned: str | None = None
    perhaps_later: bool = False
    """Answered by 503: it may be carried out later."""

    @property
    def may_have_created(self) -> bool:
        return self.creates and self.learned not in NOTHING_DONE


@dataclass(eq=False)
class Expected:
    """What an account should be like, and why."""

    username: str
    state: str
    ends_at: timedelta | None = None
    """When the lease of a worker, or the time for a correction, is over."""
    with_staff: bool = False
    calls: list[Call] = field(default_factory=list)
    missing_at: int = -1
    """When it was last seen to be missing from the whole list."""

    def move(self, to: str, ends_at: timedelta | None = None) -> None:
        assert to in MOVES[self.state], f"{self.state} → {to}"
        self.state, self.ends_at, self.with_staff = to, ends_at, False

    def doubts(self) -> int:
        return sum(call.may_have_created for call in self.calls if call.username == self.username)


class Provider:
    """What is true at the other end."""

    def __init__(self) -> None:
        self.ours: dict[str, str] = {}
        """User name → id of the accounts it has made for us."""
        self.unlisted: set[str] = set()
        self.coming: list[str] = []
        """User names that it will make accounts of later."""
        self.others: set[str] = set()

    def make(self, username: str) -> bool:
        if username in self.others or username in self.ours:
            return False
        self.ours[username] = f"id-{len(self.ours)}"
        return True

    def create(self, username: str, course: str) -> Answer:
        if course in NOTHING_DONE:
            return Answer(meaning=Meaning(course))
        if course == "later":
            self.coming.append(username)
        elif course != "swallowed" and not self.make(username):
            return Answer(meaning=Meaning.TAKEN)
        elif course == "unlisted":
            self.unlisted.add(username)
        if course == "answered":
            return Answer(meaning=Meaning.CREATED, account_id=self.ours[username], oauth2_token="canary-token")
        return Answer(meaning=Meaning.UNKNOWN, status=503 if course == "later" else None)

    def list(self, course: str, at: int) -> Answer:
        listed = tuple(Entry(number, name, "") for name, number in self.ours.items() if name not in self.unlisted)
        if course == "answered":
            return Answer(meaning=Meaning.LISTED, entries=listed, body=str(at))
        return Answer(meaning=Meaning(course))

    def tidy_up(self) -> None:
        """Everything that was yet to come comes."""
        self.unlisted.clear()
        while self.coming:
            self.make(self.coming.pop())


CREATING = st.sampled_from(
    ["answered", "lost", "swallowed", "later", "unlisted"] * 2
    + [Meaning.REFUSED, Meaning.UNSENT, Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP]
)
LISTING = st.sampled_from(["answered"] * 4 + [Meaning.UNKNOWN, Meaning.OVER_RATE, Meaning.STOP])
Claimant = Callable[[], services.Claim | None]
Pause = timedelta | None
"""None: it is gone on with at any time, or never, since the worker has died."""
PAUSE: st.SearchStrategy[Pause] = st.sampled_from([NONE, NONE, NONE, SECOND, LEASE + SECOND, None])
Job = tuple[Claimant, str, str, Pause, Pause]
JOB: st.SearchStrategy[Job] = st.tuples(
    st.sampled_from([services.claim_account, services.claim_look_up]),
    CREATING,
    LISTING,
    PAUSE,
    PAUSE,
)


class Machine(RuleBasedStateMachine):
    """Customers, workers, staff, the provider and the clock, in any order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.database = transaction.atomic()
        self.database.__enter__()
        self.expected: dict[int, Expected] = {}
        self.calls: dict[int, Call] = {}
        self.claims: list[services.Claim] = []
        self.letters: list[partial[None]] = []
        """What workers have learned but not written down yet: it may come late, or never."""
        self.pages: list[Account] = []
        """What staff have before their eyes, fresh or stale."""
        self.provider = Provider()
        self.course = ""
        self.tick = itertools.count().__next__
        self.now = timedelta(days=1)
        clock = SimpleNamespace(monotonic=lambda: self.now.total_seconds(), sleep=self.sleep)
        monkeypatch.setattr(gateway, "monotonic", clock.monotonic)
        monkeypatch.setattr(gateway, "sleep", clock.sleep)
        monkeypatch.setattr(workers, "time", clock)
        monkeypatch.setattr(workers, "client", self.client)
        monkeypatch.setattr(settlement, "MOST_UNANSWERED", ENOUGH)
        monkeypatch.setattr(workers, "retry_database_errors", self.letters.append)
        monkeypatch.setattr(workers, "close_old_connections", lambda: None)
        self.sign_up("anna")

    def teardown(self) -> None:
        try:
            self.all_ends_well()
        finally:
            transaction.set_rollback(True)
            self.database.__exit__(None, None, None)

    # Customers

    def holder(self, name: str) -> Expected | None:
        return next((each for each in self.expected.values() if each.username == name and each.state != "closed"), None)

    @rule(name=NAMES)
    def sign_up(self, name: str) -> None:
        try:
            account = sign_up(username=name)
        except ValidationError:
            assert self.holder(name)
        else:
            assert not self.holder(name)
            self.expected[account.pk] = Expected(name, "queued")

    @rule(name=NAMES)
    def sign_up_and_be_held(self, name: str) -> None:
        if not self.holder(name):
            self.expected[account_in(State.HELD, username=name, due_at=None).pk] = Expected(name, "held")

    @rule(pick=PICK, name=NAMES)
    def correct(self, pick: int, name: str) -> None:
        pk, expected = pick_of(self.expected.items(), pick)
        try:
            services.correct(Account.objects.get(pk=pk), {"username": name})
        except IllegalMove:
            assert expected.state != "rejected"
        except ValidationError:
            assert self.holder(name) not in (None, expected)
        else:
            assert self.holder(name) in (None, expected)
            expected.move("queued")
            expected.username = name

    # Staff

    @rule(pick=PICK)
    def open_page(self, pick: int) -> None:
        self.pages.append(Account.objects.get(pk=pick_of(self.expected, pick)))

    @precondition(lambda self: self.pages)
    @rule(pick=PICK, verb=st.sampled_from(sorted({verb for verb, _ in ALLOWED})))
    def act(self, pick: int, verb: str) -> None:
        page = pick_of(self.pages, pick)
        expected, now = self.expected[page.pk], Account.objects.get(pk=page.pk)
        to = ALLOWED.get((verb, page.state))
        if (verb, page.state) == ("retry", "unconfirmed") and expected.calls and expected.calls[-1].learned == ABSENT:
            to = "queued"
        try:
            getattr(services, verb)(page)
        except IllegalMove:
            assert to is None
        except MovedMeanwhile:
            assert (page.state, page.claim) != (now.state, now.claim)
        else:
            assert (page.state, page.claim) == (now.state, now.claim)
            assert to is not None
            if to != page.state:
                expected.move(to)
            expected.with_staff = False

    @rule()
    def resume(self) -> None:
        gateway.resume()

    # Workers

    @rule(jobs=st.lists(JOB, min_size=1, max_size=5))
    def work(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.do(*job)

    def do(self, claim_what_is_due: Claimant, creating: str, listing: str, before: Pause, after: Pause) -> None:
        """A worker does a job, held up before or after the call."""
        self.sleep(1)
        try:
            claim = claim_what_is_due()
        except gateway.Shut:
            return
        if claim is None:
            return
        self.claims.append(claim)
        self.note(claim)
        if before is not None:
            self.time_passes(before)
            letters = len(self.letters)
            self.call(-1, creating, listing)
            if after is not None:
                self.time_passes(after)
                while len(self.letters) > letters:
                    self.write_down(letters)

    def note(self, claim: services.Claim) -> None:
        for account, attempt in claim.evidence:
            expected = self.expected[account.pk]
            creates = attempt.kind == "create"
            if creates:
                expected.move("sending", self.now + LEASE)
            assert creates or expected.state == "unconfirmed"
            self.calls[attempt.pk] = Call(expected.username, creates)
            expected.calls.append(self.calls[attempt.pk])

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, creating=CREATING, listing=LISTING)
    def call(self, pick: int, creating: str, listing: str) -> None:
        claim = self.claims.pop(pick % len(self.claims))
        if claim.evidence[0][1].kind == "create":
            self.course = creating
            services.provision(claim)
        else:
            self.course = listing
            services.reconcile(claim)

    def client(self) -> Any:
        """As far as a worker can see, the client of Constant Contact."""

        def start_call(start: Any) -> None:
            claim = start.__self__
            slot = claim.slot
            start()
            if claim.slot is not slot:
                for account, _ in claim.evidence:
                    if self.expected[account.pk].state == "sending":
                        self.expected[account.pk].ends_at = self.now + LEASE

        def create(properties: Mapping[str, Any], start: Any) -> Answer:
            try:
                start_call(start)
            except (MovedMeanwhile, gateway.Shut, TimeoutError):
                return Answer(meaning=Meaning.UNSENT)
            if self.course == Meaning.UNSENT:
                return Answer(meaning=Meaning.UNSENT)
            self.judge(start.__self__, properties)
            return self.provider.create(properties["username"], self.course)

        def list_accounts(page: str, start: Any) -> Answer:
            try:
                start_call(start)
            except (MovedMeanwhile, gateway.Shut, TimeoutError):
                return Answer(meaning=Meaning.UNSENT)
            return self.provider.list(self.course, self.tick())

        return SimpleNamespace(create=create, list_accounts=list_accounts)

    def judge(self, claim: services.Claim, properties: Mapping[str, Any]) -> None:
        """A call that creates goes out: only for what is claimed, and never where an earlier one is in doubt."""
        ((account, attempt),) = claim.evidence
        now, expected = Account.objects.get(pk=account.pk), self.expected[account.pk]
        assert (now.state, now.claim, expected.state) == ("sending", account.claim, "sending")
        assert properties["password"] == SIGN_UP["password"]
        call = self.calls[attempt.pk]
        call.went_out = self.tick()
        for earlier in expected.calls:
            if earlier is not call and earlier.went_out >= 0 and earlier.may_have_created:
                assert earlier.username != call.username or earlier.went_out < expected.missing_at, "a blind call"

    @precondition(lambda self: self.letters)
    @rule(pick=PICK)
    def write_down(self, pick: int) -> None:
        letter = self.letters.pop(pick % len(self.letters))
        if letter.func == gateway.heed:
            letter()
            return
        account, attempt, answer = letter.args
        expected, call = self.expected[account.pk], self.calls[attempt.pk]
        now = Account.objects.get(pk=account.pk)
        in_time = (now.state, now.claim) == (account.state, account.claim)
        letter()
        if call.creates:
            call.learned, call.perhaps_later = answer.meaning, answer.status == 503
            if in_time:
                self.settle(expected, answer)
        else:
            missing = expected.username not in {entry.username for entry in answer.entries}
            call.learned = ABSENT if missing and answer.meaning == Meaning.LISTED else answer.meaning
            if in_time:
                self.settle_look_up(expected, answer, missing)

    def settle(self, expected: Expected, answer: Answer) -> None:
        match answer.meaning:
            case Meaning.CREATED:
                expected.move("created")
            case Meaning.TAKEN if expected.doubts():
                expected.move("unconfirmed")
            case Meaning.REFUSED | Meaning.TAKEN:
                expected.move("rejected", self.now + WEEK)
            case Meaning.UNSENT | Meaning.OVER_RATE | Meaning.OVER_QUOTA | Meaning.STOP:
                expected.move("queued")
            case _:
                expected.move("unconfirmed")

    def settle_look_up(self, expected: Expected, answer: Answer, missing: bool) -> None:
        if not missing:
            expected.move("created")
        elif answer.meaning == Meaning.LISTED:
            expected.missing_at = int(answer.body)
            looks = list(itertools.takewhile(lambda call: not call.creates, reversed(expected.calls)))
            last = expected.calls[-1 - len(looks)]
            if last.learned == Meaning.TAKEN:
                expected.move("rejected", self.now + WEEK)
            elif last.perhaps_later and sum(look.learned == ABSENT for look in looks) < 2:
                pass
            elif expected.doubts() >= ENOUGH:
                expected.with_staff = True
            else:
                expected.move("queued")

    # The provider and the clock

    @rule(name=NAMES)
    def somebody_else_takes(self, name: str) -> None:
        if name not in self.provider.ours:
            self.provider.others.add(name)

    @rule()
    def provider_tidies_up(self) -> None:
        self.provider.tidy_up()

    @rule(time=st.sampled_from([SECOND, LEASE + SECOND, WEEK + SECOND]))
    def time_passes(self, time: timedelta) -> None:
        self.sleep(time.total_seconds())
        services.expire()
        for expected in self.expected.values():
            if expected.ends_at and expected.ends_at <= self.now:
                expected.move("unconfirmed" if expected.state == "sending" else "closed")

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        pass_time(timedelta(seconds=seconds))

    # What holds at any time

    @invariant()
    def all_is_as_expected(self) -> None:
        for account in Account.objects.all():
            expected = self.expected[account.pk]
            assert (account.state, account.username) == (expected.state, expected.username)
            assert account.password.open() == ("" if account.state in FINAL else SIGN_UP["password"])
            assert (account.due_at is None) == (account.state in {"held", *FINAL} or expected.with_staff)
            if account.state == "created":
                assert account.account_id == self.provider.ours[account.username]
        ids = Account.objects.filter(state="created").values_list("account_id", flat=True)
        assert len(ids) == len(set(ids))

    def all_ends_well(self) -> None:
        """From wherever this has come to: all workers there were are dead, but from now on nothing goes wrong."""
        self.claims.clear()
        self.letters.clear()
        self.provider.tidy_up()
        for _ in range(10):
            if {each.state for each in self.expected.values()} <= WELL:
                return
            gateway.resume()
            self.time_passes(timedelta(hours=1))
            for account in Account.objects.waiting_for_staff():
                self.pages = [account]
                self.act(0, "approve" if account.state == "held" else "retry")
            for claimant in [services.claim_look_up] + [services.claim_account] * len(self.expected):
                self.do(claimant, "answered", "answered", NONE, NONE)
            self.all_is_as_expected()
        raise AssertionError("stuck")


def pick_of(choices: Any, pick: int) -> Any:
    return list(choices)[pick % len(choices)]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [15, pytest.param(100, marks=pytest.mark.long)])
def test_no_sequence_of_events_breaks_a_promise(runs: int, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONSTANT_CONTACT_RATE = 1e9
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1_000_000
    settings.PROVISION_RECHECK = 0.0
    run_state_machine_as_test(
        partial(Machine, monkeypatch),  # type: ignore[arg-type]
        settings=thoroughness(
            max_examples=runs, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_the_second_opinion_knows_every_state() -> None:
    assert set(MOVES) == set(State)
