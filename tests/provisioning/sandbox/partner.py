"""A minimal partner's client: raw HTTP to the sandbox, without the product's own client."""

import base64
import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from django.conf import settings

from provisioning.sandbox import Provider
from tests.patience import PATIENCE
from tests.provisioning.values import SIGN_UP

PATH = "/v2/partner/accounts"
V3_PATH = "/v3/partner/accounts"
TOKEN_PATH = "/partners/oauth2/default/v1/token"
V3_NAMES = {
    "email": "contact_email",
    "phone": "contact_phone",
    "username": "login_name",
    "single_billing": "enable_single_billing",
    "idp_provider": "external_provider",
    "idp_provider_id": "external_id",
}
"""Property name in v2 → name in v3."""


@dataclass
class Response:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    spelled: Mapping[str, str] = field(default_factory=dict)
    """Property name in v2 → its name in this answer, if that differs."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def keys(self) -> list[str]:
        """The error keys, from an array or an object."""
        return [error["error_key"] for error in (self.json if isinstance(self.json, list) else [self.json])]

    @property
    def refused(self) -> set[str]:
        """The properties that the messages point at, with their v2 names."""
        pointers = (error["error_message"].partition(":")[0].removeprefix("#/") for error in self.json)
        in_v2 = {name: v2 for v2, name in self.spelled.items()}
        return {in_v2.get(name, "not in v3: " + name if name in self.spelled else name) for name in pointers}


class Partner:
    """Calls the sandbox over one connection, open until the end of the `with`; every call has these `headers`."""

    spelled: Mapping[str, str] = {}
    """Property name in v2 → its name here, if that differs."""
    always: Mapping[str, str] = {}
    """Properties that every account must have, even if blank."""

    def __init__(self, url: str, timeout: float = PATIENCE) -> None:
        self.key = settings.CONSTANT_CONTACT_API_KEY
        credentials = f"{settings.CONSTANT_CONTACT_USERNAME}:{settings.CONSTANT_CONTACT_PASSWORD}"
        self.headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}",
        }
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def call(self, method: str, path: str, body: bytes | None = None) -> Response:
        self.connection.request(method, path, body, self.headers)
        response = self.connection.getresponse()
        return Response(response.status, response.read(), dict(response.headers), self.spelled)

    def create(self, username: str = "anna", query: str = "", **changes: Any) -> Response:
        return self.send(SIGN_UP | {"username": username} | changes, query)

    def send(self, values: Any, query: str = "") -> Response:
        return self.call("POST", f"{PATH}?api_key={self.key}{query}", json.dumps(values).encode())

    def page(self, query: str = "") -> Response:
        return self.call("GET", f"{PATH}?api_key={self.key}{query}")

    def names(self) -> list[str]:
        """The usernames on the first page of the list."""
        return [account["username"] for account in self.page().json["results"]]


class V3Partner(Partner):
    """The same for v3. Properties have their v2 names, as in all tables of values."""

    spelled = V3_NAMES
    always = {"state_code": ""}

    def __init__(self, url: str, timeout: float = PATIENCE) -> None:
        super().__init__(url, timeout)
        self.basic = self.headers["Authorization"]
        self.headers["x-api-key"] = self.key
        self.headers["Authorization"] = f"Bearer {self.log_in().json['access_token']}"

    def log_in(self, body: bytes = b"grant_type=client_credentials", **headers: str) -> Response:
        """Request an access token."""
        usual, form = self.headers, "application/x-www-form-urlencoded"
        self.headers = {"Content-Type": form, "Authorization": self.basic} | headers
        response = self.call("POST", TOKEN_PATH, body)
        self.headers = usual
        return response

    def send(self, values: Any, query: str = "") -> Response:
        named = {self.spelled.get(name, name): value for name, value in values.items()}
        return self.call("POST", V3_PATH + query, json.dumps(named).encode())

    def page(self, query: str = "") -> Response:
        return self.call("GET", V3_PATH + query)

    def names(self) -> list[str]:
        return [account["site_owner_name"] for account in self.page().json["site_owner_list"]]


def partner_of(url: str, timeout: float = PATIENCE) -> Partner:
    """A partner that uses the API in the settings."""
    return {"v2": Partner, "v3": V3Partner}[settings.CONSTANT_CONTACT_API](url, timeout)


BOTH = pytest.mark.parametrize("api", ["v2", pytest.param("v3", marks=pytest.mark.once)], indirect=True)
"""Runs a test with both APIs. They differ in calls, not in what is stored, so PostgreSQL runs v3 nightly."""


def provider(**options: Any) -> Provider:
    """A provider with the API and the credentials in the settings."""
    return Provider(
        settings.CONSTANT_CONTACT_API_KEY,
        settings.CONSTANT_CONTACT_USERNAME,
        settings.CONSTANT_CONTACT_PASSWORD,
        api=settings.CONSTANT_CONTACT_API,
        **options,
    )


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true; fail if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
