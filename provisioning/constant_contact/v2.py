"""The v2 API, as documented in `docs/account-management/create-account.html` on the vendor's v2 developer site."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provisioning.constant_contact.answers import Answer, Meaning, read_id, read_page, read_query, storable
from provisioning.constant_contact.client import Client, Start

ACCOUNTS = "/v2/partner/accounts"
PAGE_SIZE = 500
"""Accounts on a page of the list: the vendor's maximum."""


class V2(Client):
    def create(self, properties: Mapping[str, Any], start: Start | None = None) -> Answer:
        request = self.request_properties(properties)
        asked = {"oauth2_token_provided": "true"} if self.credentials.oauth2_token else {}
        return self.call(
            "POST",
            self.credentials.url + ACCOUNTS,
            _read_created,
            auth=self.basic,
            params=asked | {"api_key": self.credentials.api_key},
            json=request,
            password=request.get("password", ""),
            start=start,
        )

    def list_accounts(self, page: str = "", start: Start | None = None) -> Answer:
        asked = read_query(page) if page else {"limit": str(PAGE_SIZE)}
        params = asked | {"api_key": self.credentials.api_key}
        url = self.credentials.url + ACCOUNTS
        return self.call("GET", url, _read_page, auth=self.basic, params=params, start=start)


def _read_created(body: Any) -> Answer | None:
    if not isinstance(body, dict):
        return None
    account_id, token = read_id(body.get("id")), body.get("oauth2_token")
    token = storable(token) if isinstance(token, str) else ""
    return Answer(meaning=Meaning.CREATED, account_id=account_id, oauth2_token=token) if account_id else None


def _read_page(body: Any) -> Answer | None:
    try:
        entries, next_page = body["results"], body["meta"]["pagination"].get("next_link") or ""
    except (TypeError, KeyError, AttributeError):
        return None
    if isinstance(next_page, str):  # The link may repeat our key, which must not be stored.
        next_page = re.sub("(?<=[?&])api_key=[^&#]*&?", "", next_page)
    return read_page(entries, next_page, account_id="id", username="username", status="status")
