"""The sandbox's faults: all the ways a call can be made to fail. `Provider` says how to trigger them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from provisioning.sandbox.accounts import Account
from provisioning.sandbox.messages import Answer


class Delivery(Enum):
    """How an answer is sent."""

    WHOLE = auto()
    NEVER = auto()
    """Nothing is sent on the open connection until the client gives up or `Provider.hang` seconds have passed."""
    RESET = auto()
    """The connection is closed with a TCP reset."""
    TRICKLED = auto()
    """One byte every `Provider.trickle` seconds: no read timeout ever triggers, only a deadline does."""


Respond = Callable[[Mapping[str, Answer], Answer], Answer]
"""Returns what to answer, given the dialect's errors and the correct answer."""


def _correctly(errors: Mapping[str, Answer], answer: Answer) -> Answer:
    return answer


def _error(name: str) -> Respond:
    return lambda errors, answer: errors[name]


def _always(fixed: Answer) -> Respond:
    return lambda errors, answer: fixed


def _html(status: int) -> Respond:
    return _always(Answer(status, b"<html><body><h1>Gateway</h1></body></html>", "text/html"))


def _mashery_html(status: int, code: str) -> Respond:
    page = f"<html><body><h1>{code.replace('_', ' ').title()}</h1></body></html>".encode()
    return _always(
        Answer(status, page, "text/html", {"X-Mashery-Error-Code": f"ERR_{status}_{code}", "Retry-After": "2"})
    )


def _redirect(status: int) -> Respond:
    return _always(Answer(status, b"", "text/html", {"Location": "/moved"}))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way in which a valid call can fail."""

    description: str
    """What the provider does, as a verb phrase."""
    is_carried_out: bool = True
    respond: Respond = _correctly
    delivery: Delivery = Delivery.WHOLE
    slow: bool = False
    """The answer comes `Provider.delay` seconds late."""
    exists_later: bool = False
    """The account starts to exist `Provider.delay` seconds late."""
    listed_later: bool = False
    """The account is listed `Provider.delay` seconds late."""
    expires_tokens: bool = False
    """All access tokens expire early."""


NO_FAULT = Fault(description="does everything right")


def _before(description: str, respond: Respond = _correctly, delivery: Delivery = Delivery.WHOLE) -> Fault:
    return Fault(
        description=f"creates nothing and {description}", is_carried_out=False, respond=respond, delivery=delivery
    )


def _after(description: str, respond: Respond = _correctly, delivery: Delivery = Delivery.WHOLE) -> Fault:
    return Fault(description=f"creates the account and {description}", respond=respond, delivery=delivery)


FAULTS: Mapping[str, Fault] = {
    "slow": Fault(description="creates the account and answers correctly, but late", slow=True),
    "hang-before": _before("never answers", delivery=Delivery.NEVER),
    "hang-after": _after("never answers", delivery=Delivery.NEVER),
    "reset-before": _before("resets the connection", delivery=Delivery.RESET),
    "reset-after": _after("resets the connection", delivery=Delivery.RESET),
    "trickle": _after("answers byte by byte, so that no read timeout triggers", delivery=Delivery.TRICKLED),
    "500": _before("answers 500", _error("500")),
    "500-after": _after("answers 500", _error("500")),
    "502": _before("answers 502 with an HTML page, as proxies do", _html(502)),
    "503": _before("answers 503", _error("503")),
    "596": _before("answers 596 with an HTML page, as the vendor's API front end does", _html(596)),
    "html": _before("answers 200 with an HTML page", _html(200)),
    "bad-json": _after("cuts the JSON off in the middle", lambda _, answer: replace(answer, body=answer.body[:20])),
    "no-id": _after("answers without an id", lambda _, answer: replace(answer, body=b"{}")),
    "301": _before("redirects with 301", _redirect(301)),
    "302": _before("redirects with 302", _redirect(302)),
    "307": _before("redirects with 307", _redirect(307)),
    "later": Fault(
        description="answers 503 now and creates the account later", respond=_error("503"), exists_later=True
    ),
    "unlisted": Fault(description="creates the account, but lists it only later", listed_later=True),
    "over-qps": _before("answers that there were too many calls this second", _error("over-qps")),
    "over-quota": _before("answers that there were too many calls today", _error("over-quota")),
    "inactive": _before("answers 403: the API key is not active", _error("inactive")),
    "401": _before("answers 401: not authorized", _error("401")),
    "token-end": replace(
        _before("answers 401, and all v3 access tokens expire early", _error("401")), expires_tokens=True
    ),
    "403-html": _before("answers 403 with an HTML page, as firewalls do", _html(403)),
    "inactive-html": _before(
        "answers 403 with a page from the vendor's API front end: the API key is not active",
        _mashery_html(403, "DEVELOPER_INACTIVE"),
    ),
    "404": _before("answers 404: not found", _error("404")),
    "405": _before("answers 405: method not allowed", _error("405")),
    "406": _before("answers 406: not acceptable", _error("406")),
    "415": _before("answers 415: unsupported media type", _error("415")),
    "429-html": _before(
        "answers 429 with a page from the vendor's API front end: too many calls this second",
        _mashery_html(429, "DEVELOPER_OVER_QPS"),
    ),
    "418": _before("answers 418, which is not documented", _always(Answer.of(418, {}))),
}
"""Name → fault. A username that begins with the name and a dot triggers it, like `reset-after.anna`."""


@dataclass(frozen=True)
class Page:
    """A page of the partner's list: the accounts from position `start` on, and where the next page starts or None."""

    start: int
    accounts: Sequence[Account]
    following: int | None


def _invented(account_id: str, username: str) -> Account:
    names = {"first_name": "Odd", "last_name": "Entry", "organization_name": "Odd"}
    return Account(id=account_id, properties=names | {"username": username})


def _unreadable(page: Page) -> Page:
    return replace(page, accounts=[_invented("", "without-an-id"), _invented("9" * 999, "long-id"), *page.accounts])


def _endless(page: Page) -> Page:
    name = f"endless-{page.start}"
    return replace(page, accounts=[*page.accounts, _invented(name, name)], following=page.start + 1)


LIST_FAULTS: Mapping[str, Callable[[Page], Page]] = {
    "unreadable": _unreadable,
    "endless": _endless,
    "repeated": lambda page: replace(page, following=page.start),
    "empty": lambda page: replace(page, accounts=[], following=page.start + 1),
}
"""Name → what is wrong with every page of the partner's list; see `Provider.list_fault`.

`unreadable` entries; an `endless` list of new accounts; a `repeated` page that links to itself; `empty` pages that link
to a next one.
"""
