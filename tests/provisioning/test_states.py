"""Any sequence of events, checked by its result at the provider: each sign-up has one account, which is its own.

Only the provider is modeled. The program's own logic is not repeated here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck
from hypothesis import settings as thoroughness
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import Answer, Entry, Meaning
from provisioning.mirror import matching, passes
from provisioning.mirror.passes import PassLost
from provisioning.models import Account, Gateway, IllegalMove, ListEntry, ListPass, MovedMeanwhile
from provisioning.services import claims, settlement, workers
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, again, pass_time, sign_up

pytestmark = pytest.mark.django_db

Choice = TypeVar("Choice")
NONE, SECOND, LEASE, HOUR, WEEK = (
    timedelta(),
    timedelta(seconds=1),
    timedelta(seconds=60),
    timedelta(hours=1),
    timedelta(7),
)
PAGE = 2
"""Accounts on a page of the list."""
ENOUGH = 2
"""Calls without an answer after which staff are asked."""
NOTHING_DONE = frozenset(Meaning) - {Meaning.CREATED, Meaning.UNKNOWN, Meaning.LISTED}
STRANGER = "Else Where"
"""The organization of accounts that were created elsewhere."""

NAMES = st.sampled_from(["annabel", "AnnaBel", "bertram", "cornelia", "dorothea", "ferdinand", "griselda"])
ORGANIZATIONS = st.sampled_from(["Acme", "Acme, Inc.", "Bakery"])
PICK = st.integers(min_value=0, max_value=11)
LAG = st.sampled_from([NONE, NONE, LEASE, 2 * HOUR, 52 * WEEK])
CREATING = st.sampled_from(
    ["answered", "lost", "lost", "swallowed", "late", "503"] * 3
    + [Meaning.REFUSED, Meaning.UNSENT, Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP, Meaning.NOTHING_CREATED]
)
"""The course of a call that creates an account.

`answered`: all is well. `lost`: created, but the answer is lost. `swallowed`: neither created nor answered. `late`:
created later, without an answer. `503`: created later, after a 503.
"""
LISTING = st.sampled_from(["answered"] * 6 + ["empty", "repeated", Meaning.UNKNOWN, Meaning.STOP, Meaning.OVER_RATE])
VERBS = ["approve", "decline", "close", "erase", "retry", "look_up", "attach", "reject_username"]
Pause = timedelta | None
"""How long a worker is delayed; None: until any time, or forever, because it died."""
TIME = st.sampled_from([SECOND, LEASE + SECOND, HOUR, HOUR, WEEK + SECOND])
PAUSE: st.SearchStrategy[Pause] = st.sampled_from([NONE, NONE, NONE, SECOND, LEASE + SECOND, None])


def claim_any() -> Any:
    return services.claim_account() or services.claim_page()


Job = tuple[Callable[[], Any], str, timedelta, str, Pause, Pause]
JOB: st.SearchStrategy[Job] = st.tuples(
    st.sampled_from([services.claim_account, services.claim_page, claim_any]), CREATING, LAG, LISTING, PAUSE, PAUSE
)
JOBS = st.lists(JOB, min_size=1, max_size=8)
PROVIDERS = st.sampled_from(
    [("v2", "username", ""), *itertools.product(["v3"], ["username", "organization"], ["calibrated", ""])]
)
"""The API, what its list shows accounts by, and whether that is known from the start."""


@dataclass(frozen=True)
class Listed:
    """An account at the provider."""

    account_id: str
    username: str
    organization: str
    owner: int | None
    """The sign-up that it was created for; None if it is somebody else's."""
    listed_at: timedelta


class Provider:
    """The model of the provider: the accounts that really exist there."""

    def __init__(self, clock: Callable[[], timedelta]) -> None:
        self.accounts: list[Listed] = []
        self.shows_usernames = True
        self._clock = clock
        self._coming: list[partial[Listed | None]] = []
        """Requests that are carried out later."""

    def make(self, username: str, organization: str, owner: int | None, lag: timedelta = NONE) -> Listed | None:
        if self.holder(username):
            return None
        made = Listed(f"id-{len(self.accounts)}", username, organization, owner, self._clock() + lag)
        self.accounts.append(made)
        return made

    def holder(self, username: str) -> Listed | None:
        return next((each for each in self.accounts if each.username.lower() == username.lower()), None)

    def of(self, owner: int) -> list[Listed]:
        return [each for each in self.accounts if each.owner == owner]

    def create(self, properties: Mapping[str, Any], owner: int, course: str, lag: timedelta) -> Answer:
        carry_out = partial(self.make, properties["username"], properties["organization_name"], owner, lag)
        if course in NOTHING_DONE:
            return Answer(meaning=Meaning(course))
        if course in ("late", "503"):
            self._coming.append(carry_out)
            return Answer(meaning=Meaning.UNKNOWN, status=503 if course == "503" else None)
        if course == "swallowed":
            return Answer(meaning=Meaning.UNKNOWN)
        if not (made := carry_out()):
            return Answer(meaning=Meaning.TAKEN, status=409)
        return Answer(meaning=Meaning.CREATED, account_id=made.account_id) if course == "answered" else UNANSWERED

    def page(self, page: str, course: str) -> Answer:
        """Return a page of the list. New accounts come last, but one that is listed late appears in its own place."""
        start, now = int(page or 0), self._clock()
        listed = [at for at in range(start, len(self.accounts)) if self.accounts[at].listed_at <= now]
        entries = tuple(self._entry(self.accounts[at]) for at in listed[:PAGE])
        following = str(listed[PAGE]) if len(listed) > PAGE else ""
        match course:
            case "answered":
                return Answer(meaning=Meaning.LISTED, entries=entries, next_page=following)
            case "empty":
                return Answer(meaning=Meaning.LISTED, next_page=str(start + 1))
            case "repeated":
                return Answer(meaning=Meaning.LISTED, entries=entries, next_page=page or "0")
        return Answer(meaning=Meaning(course))

    def come_to_rest(self) -> None:
        """Carry out delayed requests, and list all accounts."""
        for carry_out in self._coming:
            carry_out()
        self._coming.clear()
        self.accounts = [replace(each, listed_at=self._clock()) for each in self.accounts]

    def _entry(self, account: Listed) -> Entry:
        shown = account.username if self.shows_usernames else "Jack Box"
        return Entry(account.account_id, shown, account.organization)


UNANSWERED = Answer(meaning=Meaning.UNKNOWN)


@dataclass
class Call:
    """A call that went out for a sign-up."""

    username: str
    at: int
    learned: Meaning | None = None
    """Its evidence."""

    @property
    def may_have_created(self) -> bool:
        return self.learned not in NOTHING_DONE


class Machine(RuleBasedStateMachine):
    """Customers, workers, staff, the provider and the clock, in any order."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.settings = settings
        self.database = transaction.atomic()
        self.database.__enter__()
        self.now = timedelta(days=1)
        self.tick = itertools.count().__next__
        self.provider = Provider(lambda: self.now)
        self.calls: dict[int, dict[int, Call]] = {}
        """Sign-up → attempt → the call that went out."""
        self.first_page_read: dict[int, int] = {}
        """Pass → when its first page was read."""
        self.claims: list[Any] = []
        self.unsettled: list[partial[None]] = []
        """Answers that workers have received but not stored yet. They may be stored late, or never."""
        self.seen: list[Account] = []
        """Accounts as the pages of staff and customers show them, fresh or stale."""
        self.course: tuple[str, timedelta, str] = ("answered", NONE, "answered")
        clock = SimpleNamespace(monotonic=lambda: self.now.total_seconds(), sleep=self.sleep)
        monkeypatch.setattr(gateway, "monotonic", clock.monotonic)
        monkeypatch.setattr(gateway, "sleep", clock.sleep)
        monkeypatch.setattr(claims, "time", clock)
        monkeypatch.setattr(claims, "close_old_connections", lambda: None)
        monkeypatch.setattr(workers, "client", self.client)
        monkeypatch.setattr(workers, "retry_database_errors", self.unsettled.append)
        monkeypatch.setattr(settlement, "MOST_UNANSWERED", ENOUGH)
        # The duration of a pass is measured by the real clock, so it would differ in every run.
        monkeypatch.setattr(passes, "LONGEST_PASS_BACK_OFF", timedelta())

    @initialize(provider=PROVIDERS, elder=st.lists(st.tuples(NAMES, ORGANIZATIONS), max_size=3))
    def begin(self, provider: tuple[str, str, str], elder: list[tuple[str, str]]) -> None:
        """Read the list of older accounts once, so that even those with a customer's organization are known."""
        self.settings.CONSTANT_CONTACT_API, shown, calibrated = provider
        self.provider.shows_usernames = shown == "username"
        Gateway.objects.create(pk=1, list_names=shown if calibrated else "")
        for name, organization in elder:
            self.provider.make(name, organization, None)
        self.read_the_list()
        self.sign_up([("annabel", "Acme", False)])

    def teardown(self) -> None:
        try:
            if Gateway.objects.exists():
                self.all_ends_well()
        finally:
            transaction.set_rollback(True)
            self.database.__exit__(None, None, None)

    # Customers

    @rule(
        forms=st.lists(st.tuples(NAMES, ORGANIZATIONS, st.sampled_from([False, False, True])), min_size=1, max_size=4)
    )
    def sign_up(self, forms: list[tuple[str, str, bool]]) -> None:
        for name, organization, held in forms:
            values = {"username": name, "organization_name": organization}
            if Account.objects.living().filter(username__iexact=name).exists():
                with pytest.raises(ValidationError):
                    sign_up(**values)
                continue
            if held:
                account = account_in(State.HELD, due_at=None, **values)
            elif matching.is_listed(name):  # The form was sent before the list was read.
                account = account_in(State.QUEUED, claim=None, **values)
            else:
                account = sign_up(**values)
            self.calls[account.pk] = {}

    @rule(
        pick=PICK,
        stale=st.booleans(),
        name=st.none() | NAMES,
        organization=st.none() | ORGANIZATIONS,
        hold=st.sampled_from([False, False, True]),
    )
    def correct(self, pick: int, stale: bool, name: str | None, organization: str | None, hold: bool) -> None:
        values = {"username": name, "organization_name": organization}
        entered = {name: value for name, value in values.items() if value}
        with suppress(IllegalMove, MovedMeanwhile, ValidationError):
            services.correct(self.look_at(pick, stale), entered, hold=hold)

    def look_at(self, pick: int, stale: bool) -> Account:
        """Return an account as somebody's page shows it, which may be an old page."""
        if not (stale and self.seen):
            self.seen.append(Account.objects.get(pk=pick_of(self.calls, pick)))
        return pick_of(self.seen, pick) if stale else self.seen[-1]

    # Staff

    @rule(pick=PICK, stale=st.booleans(), verb=st.sampled_from(VERBS), entry=PICK)
    def act(self, pick: int, stale: bool, verb: str, entry: int) -> None:
        account = self.look_at(pick, stale)
        with suppress(IllegalMove, MovedMeanwhile):
            if verb == "attach":
                self.attach(account, entry)
            elif verb == "decline":
                services.decline(account, "automated")
            elif verb != "reject_username" or self.is_somebody_elses(account):
                getattr(services, verb)(account)

    def attach(self, account: Account, pick: int) -> None:
        """Let staff match an account, its own one first. They know whose it is, but their page may be stale."""
        owned = [each.account_id for each in self.provider.of(account.pk)]
        attached = Account.objects.exclude(account_id="").order_by("account_id").values_list("account_id", flat=True)
        entries = [entry for each in (*owned, *attached) for entry in ListEntry.objects.filter(account_id=each)]
        if entries:
            services.attach(account, pick_of(entries, pick))

    def is_somebody_elses(self, account: Account) -> bool:
        """Whether the username that staff see is somebody else's, which Constant Contact can tell them."""
        holder = self.provider.holder(account.username)
        return holder is not None and holder.owner != account.pk

    # Workers

    @rule(jobs=JOBS)
    def work(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.do(*job)

    @rule(jobs=JOBS)
    def resume_and_work(self, jobs: list[Job]) -> None:
        gateway.resume()
        self.work(jobs)

    @rule(time=TIME, jobs=JOBS)
    def rest_and_work(self, time: timedelta, jobs: list[Job]) -> None:
        self.time_passes(time)
        services.settle_complete_pass()
        self.work(jobs)

    def do(
        self,
        claim_what_is_due: Callable[[], Any],
        creating: str,
        lag: timedelta,
        listing: str,
        before: Pause,
        after: Pause,
    ) -> bool:
        """Let a worker do a job, delayed before or after the call. Return whether there was one."""
        self.sleep(1)
        try:
            claim = claim_what_is_due()
        except gateway.CallNotPermitted:
            return False
        if claim is None:
            return False
        self.claims.append(claim)
        if before is not None:
            self.time_passes(before)
            count = len(self.unsettled)
            self.call(-1, creating, lag, listing)
            if after is not None:
                self.time_passes(after)
                while len(self.unsettled) > count:
                    self.settle(count)
        return True

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, creating=CREATING, lag=LAG, listing=LISTING)
    def call(self, pick: int, creating: str, lag: timedelta, listing: str) -> None:
        claim = self.claims.pop(pick % len(self.claims))
        self.course = creating, lag, listing
        (services.read_page if isinstance(claim, services.PageClaim) else services.provision)(claim)

    def client(self) -> Any:
        """Return a fake client of Constant Contact for workers."""
        creating, lag, listing = self.course

        def create(properties: Mapping[str, Any], start: Any) -> Answer:
            try:
                start()
            except (MovedMeanwhile, gateway.CallNotPermitted, TimeoutError):
                return Answer(meaning=Meaning.RETRY)
            claim = start.__self__
            self.goes_out(claim, properties)
            return self.provider.create(properties, claim.account.pk, creating, lag)

        def list_accounts(page: str, start: Any) -> Answer:
            try:
                start()
            except (PassLost, gateway.CallNotPermitted, TimeoutError):
                return Answer(meaning=Meaning.RETRY)
            if not page:
                self.first_page_read.setdefault(start.__self__.list_pass.pk, self.tick())
            return self.provider.page(page, listing)

        return SimpleNamespace(create=create, list_accounts=list_accounts)

    def goes_out(self, claim: services.AccountClaim, properties: Mapping[str, Any]) -> None:
        """Record a create call, and check that a pass over the list preceded it if an earlier call may have succeeded.

        Somebody else's username can be sent at any time, because it creates nothing.
        """
        assert properties["password"] == SIGN_UP["password"]
        account = again(claim.account)
        assert (account.state, account.claim) == (State.SENDING, claim.account.claim)
        call = Call(properties["username"], self.tick())
        for earlier in self.calls[account.pk].values():
            if earlier.may_have_created and earlier.username.lower() == call.username.lower():
                assert earlier.at < self.newest_complete_pass() or self.is_somebody_elses(account), "a blind call"
        self.calls[account.pk][claim.attempt.pk] = call

    def newest_complete_pass(self) -> int:
        complete = ListPass.objects.filter(outcome=ListPass.Outcome.COMPLETE).values_list("pk", flat=True)
        return max((self.first_page_read.get(pk, -1) for pk in complete), default=-1)

    @precondition(lambda self: self.unsettled)
    @rule(pick=PICK)
    def settle(self, pick: int) -> None:
        write = self.unsettled.pop(pick % len(self.unsettled))
        write()
        if write.func is settlement.settle:
            account, attempt, answer = write.args
            if call := self.calls[account.pk].get(attempt.pk):
                call.learned = answer.meaning

    # The provider and the clock

    @rule(name=st.none() | NAMES, lag=LAG)
    def something_happens_at_the_provider(self, name: str | None, lag: timedelta) -> None:
        """Let somebody else take a username, or carry out a delayed request."""
        if name:
            self.provider.make(name, STRANGER, None, lag)
        else:
            self.provider.come_to_rest()

    def time_passes(self, time: timedelta) -> None:
        self.sleep(time.total_seconds())
        services.expire()

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        pass_time(timedelta(seconds=seconds))

    # What holds at any time

    @invariant()
    def each_account_is_its_own(self) -> None:
        for account in Account.objects.filter(pk__in=self.calls):
            own = [each.account_id for each in self.provider.of(account.pk)]
            assert len(own) <= 1, "two accounts for one sign-up"
            assert account.account_id in ["", *own], "somebody else's account"
            if account.state == State.REJECTED and services.is_taken(account):
                assert not own, "told that its own username is taken"
            assert account.password.open() == ("" if account.state in Account.FINAL else SIGN_UP["password"])

    @invariant()
    def no_username_changes_while_it_may_be_its_own(self) -> None:
        for account in Account.objects.filter(pk__in=self.calls, erased_at=None):
            for call in self.calls[account.pk].values():
                if call.may_have_created and call.username.lower() != account.username.lower():
                    holder = self.provider.holder(call.username)
                    assert holder, "renamed, although the call may still be carried out"
                    assert holder.owner != account.pk, "renamed, although it was created"

    def all_ends_well(self) -> None:
        """From any state: if all old workers are dead, and everybody does their best, everything ends well."""
        self.claims.clear()
        self.unsettled.clear()
        self.provider.come_to_rest()
        for _ in range(12):
            gateway.resume()
            self.time_passes(HOUR)
            services.settle_complete_pass()
            self.staff_and_customers_do_their_best()
            for claim in [services.claim_account, services.claim_page] * 10:
                self.do(claim, "answered", NONE, "answered", NONE, NONE)
            self.each_account_is_its_own()
            self.no_username_changes_while_it_may_be_its_own()
            if not Account.objects.exclude(state__in=Account.FINAL).exists():
                break
        stuck = Account.objects.exclude(state__in=Account.FINAL)
        assert not [(each.state, each.due_at, list(each.attempts.values_list("kind", "outcome"))) for each in stuck]

    def staff_and_customers_do_their_best(self) -> None:
        for account in Account.objects.exclude(state__in=Account.FINAL):
            verbs: list[Callable[[Account], None]] = []
            if account.state == State.REJECTED:
                verbs = [lambda account: services.correct(account, {}), self.rename]
                verbs = verbs[::-1] if services.is_taken(account) else verbs
            elif account in Account.objects.waiting_for_staff():
                verbs = [services.approve, lambda account: self.attach(account, 0), services.retry, services.look_up]
                if account.state == State.UNCONFIRMED and self.is_somebody_elses(account):
                    verbs = [services.reject_username]
            for verb in verbs:
                with suppress(IllegalMove, MovedMeanwhile, ValidationError):
                    verb(again(account))
                    if again(account).state != account.state:
                        break

    def rename(self, account: Account) -> None:
        services.correct(account, {"username": f"another-{account.pk}"})

    def read_the_list(self) -> None:
        for _ in range(5):
            self.do(services.claim_page, "answered", NONE, "answered", NONE, NONE)
        assert ListPass.objects.filter(outcome=ListPass.Outcome.COMPLETE).exists()


def pick_of(choices: Iterable[Choice], pick: int) -> Choice:
    among = list(choices)
    return among[pick % len(among)]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [15, pytest.param(100, marks=pytest.mark.long)])
def test_no_sequence_of_events_breaks_a_promise(runs: int, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONSTANT_CONTACT_RATE = 1e9
    settings.CONSTANT_CONTACT_DAILY_QUOTA = 1_000_000
    settings.CONSTANT_CONTACT_LIST_HOURS = 24
    settings.PROVISION_RECHECK = 0.0
    run_state_machine_as_test(
        partial(Machine, settings, monkeypatch),  # type: ignore[arg-type]
        settings=thoroughness(
            max_examples=runs, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
