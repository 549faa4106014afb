"""The base class for both versions of the vendor's API: how a request is validated and read.

Error keys that the vendor does not document are guesses: take the property from the pointer at the start of the
message, not from the key.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from provisioning import rules
from provisioning.sandbox.accounts import Account
from provisioning.sandbox.messages import Answer, Creation, Listing, Refused, Request
from provisioning.sandbox.tokens import Tokens

KEYS = {
    "unknown": "json.field.invalid",
    "required": "json.field.missing",
    "type": "json.type.invalid",
    "min_length": "json.min.length.violation",
    "max_length": "json.max.length.violation",
    "email": "json.email.invalid",
}
"""Problem code → the vendor's key; all other problems have `json.value.invalid`."""

SINGLE_SIGN_ON = {"idp_provider", "idp_provider_id"}


def error(status: int, key: str, message: str, **headers: str) -> Answer:
    """Return an answer with one error, in an array as the vendor documents it."""
    return Answer.of(status, [{"error_key": key, "error_message": message}], **headers)


class Dialect(ABC):
    """One version of the API, for a partner with these credentials."""

    path: str
    errors: Mapping[str, Answer]
    """The answers to requests that are refused for another reason than their values."""
    names: Mapping[str, str] = {}
    """Property name in `provisioning.rules` → its name in the API, if that differs."""
    extra: Mapping[str, rules.Rule] = {}
    """The rules for other properties, which the product does not use."""
    always: frozenset[str] = frozenset()
    """Properties that every request must have, blank if they have no value."""
    accepted: frozenset[str] = frozenset({"application/json"})
    """Media types of which the Accept header must list at least one."""
    lists_owners = False
    """Whether the list shows the owner's name in place of the username, as an example in v3's guide does."""

    def __init__(self, username: str, password: str) -> None:
        self.tokens = Tokens()
        self._basic = base64.b64encode(f"{username}:{password}".encode()).decode()

    @abstractmethod
    def api_key(self, request: Request) -> str:
        """Return the API key in the request; empty if there is none."""

    @abstractmethod
    def created(self, account: Account, token: str) -> Answer:
        """Return the answer for a new account, with its OAuth2 `token` unless that is empty."""

    @abstractmethod
    def page(self, accounts: Sequence[Account], following: int | None, limit: int) -> Answer:
        """Return a page of the list, with a link to the page from position `following` on; None on the last page."""

    def grant(self, request: Request) -> Answer | None:
        """Return the answer to a request for an access token; None for every other request."""
        return None

    def username(self, request: Request) -> str:
        """Return the username in the request, valid or not; empty if it can't be read."""
        try:
            return str(json.loads(request.body)[self._api_name("username")])
        except (ValueError, TypeError, LookupError, RecursionError):
            return ""

    def read(self, request: Request) -> Creation | Listing:
        """Read and validate a request, with its properties named as in `provisioning.rules`.

        Raises Refused for a request that the vendor's contract does not allow. Checks run in the usual order of an API.
        """
        if request.path != self.path:
            raise Refused(self.errors["404"])
        if request.method not in {"GET", "POST"}:
            raise Refused(self.errors["405"])
        kinds = request.headers.get("Accept", "").split(",")
        if self.accepted.isdisjoint(kind.partition(";")[0].strip().lower() for kind in kinds):
            raise Refused(self.errors["406"])
        if request.method == "POST" and request.headers.get_content_type() != "application/json":
            raise Refused(self.errors["415"])
        if not self._is_authorized(request):
            raise Refused(self.errors["401"])
        return self._creation(request) if request.method == "POST" else self._listing(request.query)

    @abstractmethod
    def _is_authorized(self, request: Request) -> bool:
        """Whether the request has valid credentials, or a valid access token."""

    @abstractmethod
    def _listing(self, query: Mapping[str, str]) -> Listing:
        """Read the query of a request for the list. Raises Refused."""

    def _wants_token(self, query: Mapping[str, str]) -> bool:
        """Whether the new account's own OAuth2 token is requested. Raises Refused."""
        return False

    def _has_credentials(self, request: Request) -> bool:
        """Whether the request has the partner's own credentials, as HTTP Basic authentication."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "basic" and credentials == self._basic

    def _api_name(self, name: str) -> str:
        return self.names.get(name, name)

    def _creation(self, request: Request) -> Creation:
        wants_token = self._wants_token(request.query)
        try:
            sent = json.loads(request.body.decode())
        except (ValueError, RecursionError):
            raise Refused(self.errors["400"]) from None
        if not isinstance(sent, dict):
            raise Refused(self.errors["400"])
        known = {self._api_name(name): name for name in (*rules.RULES, *self.extra)}
        values = {known[name]: value for name, value in sent.items() if name in known}
        problems = [(name, "unknown", "There is no such property.") for name in sent.keys() - known.keys()]
        problems += [(self._api_name(name), code, message) for name, code, message in self._problems(values)]
        if problems:
            errors = [
                {"error_key": KEYS.get(code, "json.value.invalid"), "error_message": f"#/{name}: {message}"}
                for name, code, message in sorted(problems)
            ]
            raise Refused(Answer.of(400, errors))
        values.pop("password", None)
        return Creation(values, wants_token)

    def _problems(self, values: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Yield the property, code and message of each problem with the values."""
        single_sign_on = SINGLE_SIGN_ON & values.keys()
        yield from self._problems_by_rules(values, rules.RULES.keys() - ({"password"} if single_sign_on else set()))
        if single_sign_on:
            for name in SINGLE_SIGN_ON - values.keys():
                yield name, "required", "Single sign-on needs both the provider and the ID."
            if "password" in values:
                yield "password", "unknown", "Accounts with single sign-on have no password."

    def _problems_by_rules(self, values: dict[str, Any], names: set[str]) -> Iterator[tuple[str, str, str]]:
        """Apply the rules. Unlike a form, the provider accepts only values that `rules.clean` leaves unchanged."""
        problems: dict[str, list[ValidationError]] = {}
        cleaned: dict[str, Any] = {}
        try:
            cleaned = rules.clean(values, only=names)
        except ValidationError as invalid:
            problems = invalid.error_dict
        for name in self.extra.keys() & values.keys():
            try:
                cleaned[name] = self.extra[name].clean(values[name])
            except ValidationError as invalid:
                problems[name] = invalid.error_list
        for name, found in problems.items():
            yield from ((name, problem.code or "", " ".join(problem.messages)) for problem in found)
        for name in self.always - values.keys() - problems.keys():
            yield name, "required", "Required in every request: leave it blank if it has no value."
        for name in cleaned.keys() & values.keys():
            is_blank = cleaned[name] == "" and not (name in self.always and values[name] == "")
            if is_blank or cleaned[name] != values[name]:
                yield name, "unclean", "Has surrounding spaces." if cleaned[name] else "Must be left out here."
