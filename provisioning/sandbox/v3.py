"""The v3 dialect, from the vendor's contract and its pages `partners_auth.html` and `glossary_responses.html`."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from provisioning.rules import Rule
from provisioning.sandbox.accounts import Account
from provisioning.sandbox.dialect import Dialect, error
from provisioning.sandbox.messages import Answer, Listing, Refused, Request

PATH = "/v3/partner/accounts"
TOKEN_PATH = "/partners/oauth2/default/v1/token"  # noqa: S105
"""Where tokens are given. At the vendor's it is on a host of its own."""
MANAGED = {"all": None, "managed": True, "unmanaged": False}
"""`account_type` → which accounts are listed."""


@dataclass(frozen=True)
class Stricter:
    """A kind of refusal of what the contract allows."""

    error_key: str
    why: str
    names: frozenset[str] = frozenset()
    """Of which properties; of any where there is none."""


STRICTER = (
    Stricter(
        "json.field.invalid",
        "A misspelled property, one of v2, or a password beside single sign-on must not pass unnoticed.",
    ),
    Stricter("json.field.missing", "The product asks for it: a request without it, or with a blank, has lost it."),
    Stricter("json.email.invalid", "The guide asks for a valid address.", frozenset({"contact_email"})),
    Stricter("json.value.invalid", "Characters, choices and parts of the username are in the guide's words only."),
    Stricter("json.max.length.violation", "The guide knows codes of two letters.", frozenset({"country_code"})),
    Stricter("json.max.length.violation", "The limit is that of v2.", frozenset({"website"})),
    Stricter("query.param.invalid", "An offset is from a page, and no other can be right.", frozenset({"offset"})),
)
"""Where the sandbox refuses what the contract allows, and why: the one list of it."""


class V3(Dialect):
    path = PATH
    names: Mapping[str, str] = {
        "email": "contact_email",
        "phone": "contact_phone",
        "username": "login_name",
        "single_billing": "enable_single_billing",
        "idp_provider": "external_provider",
        "idp_provider_id": "external_id",
    }
    extra: Mapping[str, Rule] = {
        "organization_phone": Rule(name="organization_phone", required=True, min_length=5, max_length=25),
        "time_zone_id": Rule(name="time_zone_id", required=True),
    }
    always = frozenset({"state_code"})
    accepted = frozenset({"application/json", "application/*", "*/*", ""})
    errors: Mapping[str, Answer] = {
        "api-key": Answer.of(401, {"error_key": "unauthorized", "error_message": "The API key is not known."}),
        "inactive": error(403, "forbidden", "The API key is deactivated."),
        "over-qps": Answer.of(429, {"error_key": "throttled", "error_message": "Too many calls in this second."}),
        "over-quota": Answer.of(429, {"error_key": "quota_exceeded", "error_message": "Too many calls on this day."}),
        "400": error(400, "json.payload.invalid", "The body is not a JSON object."),
        "401": Answer.of(
            401,
            {"error_key": "unauthorized", "error_message": "The access token is invalid or has expired."},
            **{"WWW-Authenticate": 'Bearer error="invalid_token"'},
        ),
        "404": error(404, "not_found", "There is nothing at this path."),
        "405": error(405, "method_not_allowed", "This method is not supported.", Allow="GET, POST"),
        "406": error(406, "not_acceptable", "The Accept header must be application/json."),
        "409": error(409, "conflict", "#/login_name: The login name is already in use."),
        "415": error(415, "unsupported_media_type", "The Content-Type header must be application/json."),
        "500": error(500, "internal_server_error", "An internal error occurred."),
        "503": error(503, "service_unavailable", "The request may be carried out later."),
    }

    def api_key(self, request: Request) -> str:
        return request.headers.get("x-api-key", "")

    def grant(self, request: Request) -> Answer | None:
        """An access token for the partner's credentials (RFC 6749, 4.4 and 5)."""
        if request.path != TOKEN_PATH:
            return None
        if request.method != "POST":
            return Answer.of(405, {"error": "invalid_request"}, Allow="POST")
        if not self._has_credentials(request):
            return Answer.of(401, {"error": "invalid_client"}, **{"WWW-Authenticate": 'Basic realm="partner"'})
        asked = parse_qs(request.body.decode(errors="replace"))
        if request.headers.get_content_type() != "application/x-www-form-urlencoded" or "grant_type" not in asked:
            return Answer.of(400, {"error": "invalid_request"})
        if asked["grant_type"] != ["client_credentials"]:
            return Answer.of(400, {"error": "unsupported_grant_type"})
        granted = {
            "access_token": self.tokens.give(),
            "token_type": "Bearer",
            "expires_in": self.tokens.lifetime,
        }
        return Answer.of(200, granted, **{"Cache-Control": "no-store"})

    def created(self, account: Account, token: str) -> Answer:
        return Answer.of(201, {"encoded_account_id": account.id, "provision_uuid": str(uuid.uuid4())})

    def page(self, accounts: Sequence[Account], following: int | None, limit: int) -> Answer:
        listed = [
            {
                "encoded_account_id": account.id,
                "organization_name": account.properties["organization_name"],
                "site_owner_name": account.owner if self.lists_owners else account.username,
                "billing_status": "Trial",
                "subscriber_count": 0,
            }
            for account in accounts
        ]
        links = {} if following is None else {"next": {"href": f"{PATH}?offset={_offset(following)}&limit={limit}"}}
        return Answer.of(200, {"site_owner_list": listed, "_links": links})

    def _is_authorized(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.tokens.are_good_with(token)

    def _listing(self, query: Mapping[str, str]) -> Listing:
        limit, kind = query.get("limit", ""), query.get("account_type", "all")
        if kind not in MANAGED:
            raise Refused(error(400, "query.param.invalid", "account_type: Must be all, managed or unmanaged."))
        is_in_range = re.fullmatch("[0-9]{2}", limit) and 10 <= int(limit) <= 50  # Else it is ignored.
        return Listing(_position(query.get("offset", "")), int(limit) if is_in_range else 50, MANAGED[kind])


def _offset(position: int) -> str:
    """A place in the list, which means nothing to anybody else: Base64 with `*` for `=`, like the guide's `MTA*`."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().replace("=", "*")


def _position(offset: str) -> int:
    try:
        position = base64.b64decode(offset.replace("*", "="), altchars=b"-_", validate=True).decode() or "0"
    except ValueError:
        position = ""
    if not re.fullmatch("[0-9]{1,9}", position):
        raise Refused(error(400, "query.param.invalid", "offset: Follow the link of the page before."))
    return int(position)
