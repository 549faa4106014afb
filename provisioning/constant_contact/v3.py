"""The v3 API, as documented in the vendor's contract and at https://developer.constantcontact.com/api_guide/:

partners_auth.html, partners_accts_create.html, partners_accts_get.html, glossary_responses.html.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from provisioning.constant_contact.answers import (
    Answer,
    Meaning,
    Problem,
    parse_json,
    read_id,
    read_page,
    read_query,
    storable,
)
from provisioning.constant_contact.client import Bearer, Client, Credentials, Reader, Start

ACCOUNTS = "/v3/partner/accounts"
PAGE_SIZE = 50
"""Accounts on a page of the list: the vendor's maximum."""
RENEW_BEFORE = 60.0
"""Seconds before it expires at which a token is no longer used."""
FRESH = 60.0
"""Seconds during which a token cannot have expired: a 401 must have another cause."""
TOKEN_TIMEOUT = 10.0
"""Maximum seconds that a call waits for a token."""
DEFAULT_LIFETIME = 300.0
"""Seconds for which a token is valid if the answer does not say."""
NAMES = {
    "email": "contact_email",
    "phone": "contact_phone",
    "username": "login_name",
    "single_billing": "enable_single_billing",
    "idp_provider": "external_provider",
    "idp_provider_id": "external_id",
}
"""Property name in v2, which this program uses → its name in v3; all others have the same name in both."""
V2_NAMES = {v3: v2 for v2, v3 in NAMES.items()}
"""The same, the other way around."""


@dataclass
class Tokens:
    """An access token of a partner; with `fetching` only one thread fetches it at a time."""

    fetching: threading.Lock = field(default_factory=threading.Lock)
    token: str = field(default="", repr=False)
    since: float = 0.0
    until: float = 0.0
    """When it was issued, and when it expires, by `time.monotonic()`."""

    def usable(self) -> bool:
        return bool(self.token) and time.monotonic() < self.until - RENEW_BEFORE

    def drop(self, token: str) -> None:
        """Stop using this token, unless another thread has already replaced it."""
        if self.token == token:
            self.token = ""


TOKENS: dict[Credentials, Tokens] = {}
"""The access token for each partner's credentials, which all threads of this process share."""


class V3(Client):
    def __init__(self, credentials: Credentials, *, timeout: float) -> None:
        super().__init__(credentials, timeout=timeout)
        self._tokens = TOKENS.setdefault(credentials, Tokens())

    def create(self, properties: Mapping[str, Any], start: Start | None = None) -> Answer:
        request = {NAMES.get(name, name): value for name, value in self.request_properties(properties).items()}
        request["state_code"] = properties.get("state_code") or ""  # Required by the contract, blank outside US and CA.
        password = request.get("password", "")
        return self._authorized("POST", _read_created, json=request, password=password, start=start)

    def list_accounts(self, page: str = "", start: Start | None = None) -> Answer:
        asked = read_query(page) if page else {"limit": str(PAGE_SIZE)}
        return self._authorized("GET", _read_page, params=asked, start=start)

    def _authorized(self, method: str, read: Reader, **request: Any) -> Answer:
        if failure := self._fetch_token():
            return failure
        token, since = self._tokens.token, self._tokens.since
        answer = self.call(
            method,
            self.credentials.url + ACCOUNTS,
            read,
            auth=Bearer(token),
            headers={"x-api-key": self.credentials.api_key},
            secrets=(token,),
            **request,
        )
        if answer.status == 401:
            self._tokens.drop(token)
            if time.monotonic() - since > FRESH:
                # The token may just have expired early. Nothing was created; the next call fetches a new token.
                answer = replace(answer, meaning=Meaning.RETRY)
        named = tuple(replace(each, property=V2_NAMES.get(each.property, each.property)) for each in answer.problems)
        return replace(answer, problems=named)

    def _fetch_token(self) -> Answer | None:
        """Make sure there is a token; if there is none, return the answer that explains why."""
        if self._tokens.usable():
            return None
        if not self._tokens.fetching.acquire(timeout=TOKEN_TIMEOUT):
            return Answer(meaning=Meaning.UNSENT, problems=(Problem("", "Timed out waiting for an access token."),))
        try:
            return None if self._tokens.usable() else self._request_token()
        finally:
            self._tokens.fetching.release()

    def _request_token(self) -> Answer | None:
        # No `start`: the rate limit applies to the API, and the token server is a different one.
        answer = self.call(
            "POST",
            self.credentials.token_url,
            _read_token,
            auth=self.basic,
            data={"grant_type": "client_credentials"},
            timeout=min(TOKEN_TIMEOUT, self._timeout),
        )
        if answer.oauth2_token:
            self._tokens.token, self._tokens.since = answer.oauth2_token, time.monotonic()
            self._tokens.until = self._tokens.since + answer.lifetime
            return None
        return self._explain_missing_token(answer)

    def _explain_missing_token(self, answer: Answer) -> Answer:
        """Return what a failed token request means for the account: none was created. Errors as in RFC 6749, 5.2."""
        body = parse_json(answer.body)
        error = (
            [str(body[name]) for name in ("error", "error_description") if name in body]
            if isinstance(body, dict)
            else []
        )
        if answer.status == 401 or (answer.status in (400, 403) and error):
            meaning = Meaning.STOP
        elif answer.meaning in (Meaning.NOTHING_CREATED, Meaning.REFUSED):
            meaning = Meaning.NOTHING_CREATED
        else:
            meaning = Meaning.UNSENT
        details = [f"HTTP {answer.status}"] if answer.status else []
        details += error or [problem.error_message for problem in answer.problems]
        message = f"No access token from {self.credentials.token_url}: {'; '.join(details)}"
        return replace(answer, meaning=meaning, problems=(Problem("", storable(message)),))


def _read_token(body: Any) -> Answer | None:
    """Read an access token (RFC 6749, 5.1); `expires_in` is optional."""
    token = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[\x20-\x7e]+", token):
        return None
    try:
        lifetime = float(body["expires_in"])
    except (KeyError, TypeError, ValueError, OverflowError):
        lifetime = DEFAULT_LIFETIME
    return Answer(
        meaning=Meaning.CREATED, oauth2_token=token, lifetime=lifetime if isfinite(lifetime) else DEFAULT_LIFETIME
    )


def _read_created(body: Any) -> Answer | None:
    account_id = read_id(body.get("encoded_account_id")) if isinstance(body, dict) else ""
    return Answer(meaning=Meaning.CREATED, account_id=account_id) if account_id else None


def _read_page(body: Any) -> Answer | None:
    try:
        entries = body["site_owner_list"]
        next_page = ((body.get("_links") or {}).get("next") or {}).get("href") or ""
    except (TypeError, KeyError, AttributeError):
        return None
    return read_page(
        entries, next_page, account_id="encoded_account_id", username="site_owner_name", status="billing_status"
    )
