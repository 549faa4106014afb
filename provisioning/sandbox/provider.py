"""The provider in the sandbox: its accounts, limits, recorded calls and faults, whatever the API version."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from provisioning.sandbox.accounts import Account, Accounts, UsernameTaken
from provisioning.sandbox.faults import FAULTS, LIST_FAULTS, NO_FAULT, Delivery, Fault, Page
from provisioning.sandbox.messages import Answer, Creation, Listing, Refused, Request
from provisioning.sandbox.v2 import V2
from provisioning.sandbox.v3 import V3

log = logging.getLogger(__name__)

DIALECTS = {"v2": V2, "v3": V3}


class Limit:
    """At most `calls` in each period of `period` seconds (86,400 is the UTC day); None is no limit."""

    def __init__(self, calls: int | None, period: int) -> None:
        self.calls = calls
        self.period = period
        self._current: float | None = None
        self._counted = 0

    def exceeded_by_call(self, now: float) -> bool:
        """Count a call at `now`, in seconds since the epoch, and return whether it exceeds the limit."""
        if now // self.period != self._current:
            self._current, self._counted = now // self.period, 0
        self._counted += 1
        return self.calls is not None and self._counted > self.calls


@dataclass(frozen=True)
class Call:
    """One call as received, for tests to count and to time."""

    method: str
    path: str
    """Without the query, which holds the API key."""
    at: float
    """When it was received, by `time.monotonic()`."""
    username: str
    """The username in its body; empty for the list."""
    status: int | None
    """The status of the answer; None if there was none."""


@dataclass(frozen=True)
class Reply:
    """What to answer, how to send it, and after how many seconds."""

    answer: Answer
    delivery: Delivery = Delivery.WHOLE
    wait: float = 0


class Provider:
    """Answers requests to the API `v2` or `v3` for a partner with this API key, username and password.

    For v3, `username` and `password` are the client ID and secret. Values are validated by the rules for the API in the
    settings. `rate` (calls per second) and `quota` (calls per UTC day) count every call of the key; None is no limit.
    `latency` (seconds) passes before every answer. `file` keeps the accounts across restarts; raises OSError or
    ValueError if it can't be used.

    To make a call fail, use `fail_next`, or a username that begins with the name of a fault and a dot
    (`reset-after.anna`): the first call that creates it fails.
    """

    hang = 60.0
    """Seconds after which a call that is never answered is dropped."""
    delay = 5.0
    """Seconds that the faults `slow`, `later` and `unlisted` take."""
    trickle = 0.5
    """Seconds between two bytes of the fault `trickle`."""

    list_lag = 0.0
    """Seconds until accounts that are created from now on are listed."""
    list_fault = ""
    """The name in LIST_FAULTS of what is wrong with every page of the list; empty: nothing."""
    down = ""
    """The name in FAULTS of the fault that every call gets; empty: none."""

    def __init__(
        self,
        api_key: str,
        username: str,
        password: str,
        *,
        api: str = "v2",
        rate: int | None = None,
        quota: int | None = None,
        latency: float = 0,
        file: Path | None = None,
    ) -> None:
        self.latency = latency
        self.calls: list[Call] = []
        self.token_calls: list[Call] = []
        """Calls for an access token; these count toward no limit."""
        self._dialect = DIALECTS[api](username, password)
        self._api_key = api_key
        self._rate = Limit(rate, 1)
        self._quota = Limit(quota, 24 * 60 * 60)
        self._accounts = Accounts(file)
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._scheduled: dict[str, deque[Fault]] = {"create": deque(), "list": deque()}

    @property
    def accounts(self) -> dict[str, Account]:
        """Username → account, for all that exist by now, oldest first."""
        return self._accounts.existing()

    @property
    def lists_owners(self) -> bool:
        """Whether v3's list shows the owner's name in place of the username, as an example in its guide does."""
        return self._dialect.lists_owners

    @lists_owners.setter
    def lists_owners(self, value: bool) -> None:
        self._dialect.lists_owners = value

    def add_account(self, username: str, organization_name: str, **properties: Any) -> Account:
        """Add an account that no call created: an older one, or one from elsewhere."""
        names = {"first_name": "Else", "last_name": "Where"}
        return self._accounts.create(
            names | properties | {"username": username, "organization_name": organization_name}
        )

    def fail_next(self, kind: Literal["create", "list"], fault: str, times: int = 1) -> None:
        """Make the next `times` valid calls of this kind fail with a fault from FAULTS."""
        self._scheduled[kind].extend([FAULTS[fault]] * times)

    def reply(self, request: Request) -> Reply:
        """Carry out the request, unless it is refused, and return what to answer."""
        at = time.monotonic()
        granted = self._dialect.grant(request)
        reply = Reply(granted) if granted else self._reply(request)
        status = None if reply.delivery in {Delivery.NEVER, Delivery.RESET} else reply.answer.status
        calls = self.token_calls if granted else self.calls
        calls.append(Call(request.method, request.path, at, self._dialect.username(request), status))
        log.info("%s %s → %s", request.method, request.path, status or reply.delivery.name.lower())
        return reply

    def _reply(self, request: Request) -> Reply:
        if self.down:
            return self._apply(FAULTS[self.down], Answer(0, b""))
        try:
            self._admit(request)
            return self._carry_out(self._dialect.read(request))
        except Refused as refusal:
            return Reply(refusal.answer)

    def _admit(self, request: Request) -> None:
        if self._dialect.api_key(request) != self._api_key:
            raise Refused(self._dialect.errors["api-key"])
        now = time.time()
        with self._lock:
            over_qps, over_quota = self._rate.exceeded_by_call(now), self._quota.exceeded_by_call(now)
        if over_qps:
            raise Refused(self._dialect.errors["over-qps"])
        if over_quota:
            raise Refused(self._dialect.errors["over-quota"])

    def _carry_out(self, call: Creation | Listing) -> Reply:
        fault = self._fault(call)
        answer = Answer(0, b"")
        if fault.expires_tokens:
            self._dialect.tokens.expire_all()
        if fault.is_carried_out:
            answer = self._create(call, fault) if isinstance(call, Creation) else self._list(call)
        return self._apply(fault, answer)

    def _apply(self, fault: Fault, answer: Answer) -> Reply:
        return Reply(fault.respond(self._dialect.errors, answer), fault.delivery, self.delay if fault.slow else 0)

    def _create(self, call: Creation, fault: Fault) -> Answer:
        try:
            account = self._accounts.create(
                call.properties,
                exists_in=self.delay if fault.exists_later else 0,
                listed_in=self.delay if fault.listed_later else self.list_lag,
            )
        except UsernameTaken:
            return self._dialect.errors["409"]
        # A real token would give access to the account for ten years. This one gives none, and is not stored.
        return self._dialect.created(account, f"sandbox-{uuid.uuid4()}" if call.wants_token else "")

    def _list(self, call: Listing) -> Answer:
        page = Page(call.start, *self._accounts.page(call.start, call.limit, call.managed))
        if self.list_fault:
            page = LIST_FAULTS[self.list_fault](page)
        return self._dialect.page(page.accounts, page.following, call.limit)

    def _fault(self, call: Creation | Listing) -> Fault:
        with self._lock:
            scheduled = self._scheduled["create" if isinstance(call, Creation) else "list"]
            if scheduled:
                return scheduled.popleft()
            if isinstance(call, Creation) and "." in call.username and call.username not in self._seen:
                self._seen.add(call.username)
                return FAULTS.get(call.username.partition(".")[0], NO_FAULT)
        return NO_FAULT
