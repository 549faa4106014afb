"""What can be made to go wrong: one table. How to ask for it: see `Provider`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from provisioning.sandbox.accounts import Account
from provisioning.sandbox.messages import Answer


class Delivery(Enum):
    """How an answer goes out."""

    WHOLE = auto()
    NEVER = auto()
    """Silence on an open connection, until the client gives up or `Provider.hang` seconds have passed."""
    RESET = auto()
    """The connection is torn down with a TCP reset."""
    TRICKLED = auto()
    """Byte by byte, every `Provider.trickle` seconds: no read time-out ever notices, only a deadline does."""


Telling = Callable[[Mapping[str, Answer], Answer], Answer]
"""Makes what is answered of the dialect's errors and the true answer."""


def _the_truth(errors: Mapping[str, Answer], truth: Answer) -> Answer:
    return truth


def _error(name: str) -> Telling:
    return lambda errors, truth: errors[name]


def _always(answer: Answer) -> Telling:
    return lambda errors, truth: answer


def _html(status: int) -> Telling:
    return _always(Answer(status, b"<html><body><h1>Gateway</h1></body></html>", "text/html"))


def _html_of_the_gateway(status: int, code: str) -> Telling:
    page = f"<html><body><h1>{code.replace('_', ' ').title()}</h1></body></html>".encode()
    return _always(
        Answer(status, page, "text/html", {"X-Mashery-Error-Code": f"ERR_{status}_{code}", "Retry-After": "2"})
    )


def _redirect(status: int) -> Telling:
    return _always(Answer(status, b"", "text/html", {"Location": "/moved"}))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong with a rightful call."""

    does: str
    carried_out: bool = True
    tells: Telling = _the_truth
    delivery: Delivery = Delivery.WHOLE
    slow: bool = False
    """The answer comes `Provider.delay` seconds late."""
    exists_later: bool = False
    """The account comes into being `Provider.delay` seconds late."""
    listed_later: bool = False
    """The account is listed `Provider.delay` seconds late."""
    ends_tokens: bool = False
    """All access tokens end, before their time."""


NO_FAULT = Fault(does="everything right")


def _before(does: str, tells: Telling = _the_truth, delivery: Delivery = Delivery.WHOLE) -> Fault:
    return Fault(does=f"creates nothing and {does}", carried_out=False, tells=tells, delivery=delivery)


def _after(does: str, tells: Telling = _the_truth, delivery: Delivery = Delivery.WHOLE) -> Fault:
    return Fault(does=f"creates the account and {does}", tells=tells, delivery=delivery)


FAULTS: Mapping[str, Fault] = {
    "slow": Fault(does="creates the account and answers rightly, but late", slow=True),
    "hang-before": _before("never answers", delivery=Delivery.NEVER),
    "hang-after": _after("never answers", delivery=Delivery.NEVER),
    "reset-before": _before("resets the connection", delivery=Delivery.RESET),
    "reset-after": _after("resets the connection", delivery=Delivery.RESET),
    "trickle": _after("answers byte by byte, slower than any read time-out notices", delivery=Delivery.TRICKLED),
    "500": _before("answers 500", _error("500")),
    "500-after": _after("answers 500", _error("500")),
    "502": _before("answers 502 with a page of HTML, as gateways do", _html(502)),
    "503": _before("answers 503", _error("503")),
    "596": _before("answers 596 with a page of HTML, as the vendor's gateway does", _html(596)),
    "html": _before("answers 200 with a page of HTML", _html(200)),
    "bad-json": _after("breaks off in the middle of the JSON", lambda _, truth: replace(truth, body=truth.body[:20])),
    "no-id": _after("answers without an id", lambda _, truth: replace(truth, body=b"{}")),
    "301": _before("redirects with 301", _redirect(301)),
    "302": _before("redirects with 302", _redirect(302)),
    "307": _before("redirects with 307", _redirect(307)),
    "later": Fault(does="answers 503 now and creates the account later", tells=_error("503"), exists_later=True),
    "unlisted": Fault(does="creates the account, but lists it only later", listed_later=True),
    "over-qps": _before("answers that there were too many calls in this second", _error("over-qps")),
    "over-quota": _before("answers that there were too many calls on this day", _error("over-quota")),
    "inactive": _before("answers 403, the API key is not active", _error("inactive")),
    "401": _before("answers 401, not authorized", _error("401")),
    "token-end": replace(
        _before("answers 401, and all access tokens of v3 end early", _error("401")), ends_tokens=True
    ),
    "403-html": _before("answers 403 with a page of HTML, as firewalls do", _html(403)),
    "inactive-html": _before(
        "answers 403 with a page of the vendor's gateway, the API key is not active",
        _html_of_the_gateway(403, "DEVELOPER_INACTIVE"),
    ),
    "404": _before("answers 404, nothing at this path", _error("404")),
    "405": _before("answers 405, method not allowed", _error("405")),
    "406": _before("answers 406, not acceptable", _error("406")),
    "415": _before("answers 415, unsupported media type", _error("415")),
    "429-html": _before(
        "answers 429 with a page of the vendor's gateway, too many calls in this second",
        _html_of_the_gateway(429, "DEVELOPER_OVER_QPS"),
    ),
    "418": _before("answers 418, which no document names", _always(Answer.of(418, {}))),
}
"""Name → what happens. A user name that begins with the name and a dot asks for it, like `reset-after.anna`."""


@dataclass(frozen=True)
class Page:
    """A page of the partner's list: the accounts from position `start` on, and where the next page starts, if any."""

    start: int
    accounts: Sequence[Account]
    following: int | None


def _made_up(number: str, username: str) -> Account:
    names = {"first_name": "Odd", "last_name": "Entry", "organization_name": "Odd"}
    return Account(id=number, properties=names | {"username": username})


def _unreadable(page: Page) -> Page:
    return replace(page, accounts=[_made_up("", "without-an-id"), _made_up("9" * 999, "long-id"), *page.accounts])


def _endless(page: Page) -> Page:
    name = f"endless-{page.start}"
    return replace(page, accounts=[*page.accounts, _made_up(name, name)], following=page.start + 1)


LISTS: Mapping[str, Callable[[Page], Page]] = {
    "unreadable": _unreadable,
    "endless": _endless,
    "repeated": lambda page: replace(page, following=page.start),
    "empty": lambda page: replace(page, accounts=[], following=page.start + 1),
}
"""Name → what becomes of every page of the partner's list, see `Provider.lists`.

Entries that cannot be read; ever more pages with ever more accounts; pages that name themselves as the next; pages
without an entry that name a next one.
"""
