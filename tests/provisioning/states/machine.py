"""Customers, workers, staff, the provider and the clock, in any order, and what must hold at any time.

Only the provider is modeled. The program's own logic is not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis.stateful import initialize, invariant, precondition, rule

from provisioning import gateway, services
from provisioning.mirror import matching
from provisioning.models import Account, Gateway, IllegalMove, ListEntry, ListPass, MovedMeanwhile
from provisioning.services import settlement
from tests.provisioning.states.choices import (
    CREATING,
    HOUR,
    JOBS,
    LAG,
    LISTING,
    NAMES,
    NONE,
    ORGANIZATIONS,
    PICK,
    PROVIDERS,
    TIME,
    VERBS,
    Job,
    Pause,
    pick_of,
)
from tests.provisioning.states.world import World
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, account_in, again, sign_up

STRANGER = "Else Where"
"""The organization of accounts that were created elsewhere."""


class Machine(World):
    """Customers, workers, staff, the provider and the clock, in any order."""

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
            if Account.objects.not_closed().filter(username__iexact=name).exists():
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

    # What holds at any time

    @invariant()
    def each_account_is_its_own(self) -> None:
        for account in Account.objects.filter(pk__in=self.calls):
            own = [each.account_id for each in self.provider.of(account.pk)]
            assert len(own) <= 1, "two accounts for one sign-up"
            assert account.account_id in ["", *own], "somebody else's account"
            if account.state == State.REJECTED and services.is_username_taken(account):
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
                verbs = verbs[::-1] if services.is_username_taken(account) else verbs
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
