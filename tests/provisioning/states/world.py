"""The program under test, with a model of the provider and a clock that the test moves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from hypothesis.stateful import RuleBasedStateMachine
from pytest_django import Settings

from provisioning import gateway, services
from provisioning.constant_contact import Answer, Meaning
from provisioning.gateway import permits
from provisioning.mirror import passes
from provisioning.mirror.passes import PassLost
from provisioning.models import Account, ListPass, MovedMeanwhile
from provisioning.services import claims, settlement, workers
from tests.provisioning.states.choices import NONE
from tests.provisioning.states.provider import Call, Provider
from tests.provisioning.values import SIGN_UP
from tests.provisioning.work import State, again, pass_time

ENOUGH = 2
"""Calls without an answer after which staff are asked."""


class World(RuleBasedStateMachine):
    """Keeps what went out for each sign-up, and what workers know and have not stored yet."""

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
        monkeypatch.setattr(permits, "monotonic", clock.monotonic)
        monkeypatch.setattr(permits, "sleep", clock.sleep)
        monkeypatch.setattr(claims, "time", clock)
        monkeypatch.setattr(claims, "close_old_connections", lambda: None)
        monkeypatch.setattr(workers, "client", self.client)
        monkeypatch.setattr(workers, "retry_database_errors", self.unsettled.append)
        monkeypatch.setattr(settlement, "MAX_UNANSWERED", ENOUGH)
        # The duration of a pass is measured by the real clock, so it would differ in every run.
        monkeypatch.setattr(passes, "MAX_PASS_BACK_OFF", timedelta())

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

    def is_somebody_elses(self, account: Account) -> bool:
        """Whether the username that staff see is somebody else's, which Constant Contact can tell them."""
        holder = self.provider.holder(account.username)
        return holder is not None and holder.owner != account.pk

    def time_passes(self, time: timedelta) -> None:
        self.sleep(time.total_seconds())
        services.expire()

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        pass_time(timedelta(seconds=seconds))
