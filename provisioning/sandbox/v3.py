"""The vendor's v3 API, as in its contract and its pages `partners_auth.html` and `glossary_responses.html`."""

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
"""Where tokens are issued. The vendor uses a separate host."""
MANAGED = {"all": None, "managed": True, "unmanaged": False}
"""`account_type` → which accounts are listed."""


@dataclass(frozen=True)
class Stricter:
    """A kind of refusal that goes beyond the contract."""

    error_key: str
    reason: str
    names: frozenset[str] = frozenset()
    """The properties that it applies to; empty: to all."""


STRICTER = (
    Stricter(
        "json.field.invalid",
        "A misspelled or v2 property, or a password with single sign-on, must not go unnoticed.",
    ),
    Stricter("json.field.missing", "The product requires it, so a request without it, or with a blank, is a bug."),
    Stricter("json.email.invalid", "The guide requires a valid address.", frozenset({"contact_email"})),
    Stricter("json.value.invalid", "Only the guide's text limits characters, choices and parts of the username."),
    Stricter("json.max.length.violation", "The guide has two-letter codes only.", frozenset({"country_code"})),
    Stricter("json.max.length.violation", "The limit is v2's.", frozenset({"website"})),
    Stricter("query.param.invalid", "The only valid offset is one from a page.", frozenset({"offset"})),
)
"""Where the sandbox refuses what the contract allows, and why."""


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
        "over-qps": Answer.of(429, {"error_key": "throttled", "error_message": "Too many calls this second."}),
        "over-quota": Answer.of(429, {"error_key": "quota_exceeded", "error_message": "Too many calls today."}),
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
        """Issue an access token for the partner's credentials (RFC 6749, 4.4 and 5)."""
        if request.path != TOKEN_PATH:
            return None
        if request.method != "POST":
            return Answer.of(405, {"error": "invalid_request"}, Allow="POST")
        if not self._has_credentials(request):
            return Answer.of(401, {"error": "invalid_client"}, **{"WWW-Authenticate": 'Basic realm="partner"'})
        form = parse_qs(request.body.decode(errors="replace"))
        if request.headers.get_content_type() != "application/x-www-form-urlencoded" or "grant_type" not in form:
            return Answer.of(400, {"error": "invalid_request"})
        if form["grant_type"] != ["client_credentials"]:
            return Answer.of(400, {"error": "unsupported_grant_type"})
        granted = {
            "access_token": self.tokens.issue(),
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
        return scheme.lower() == "bearer" and self.tokens.is_valid(token)

    def _listing(self, query: Mapping[str, str]) -> Listing:
        limit, kind = query.get("limit", ""), query.get("account_type", "all")
        if kind not in MANAGED:
            raise Refused(error(400, "query.param.invalid", "account_type: Must be all, managed or unmanaged."))
        is_in_range = re.fullmatch("[0-9]{2}", limit) and 10 <= int(limit) <= 50  # Otherwise it is ignored.
        return Listing(_position(query.get("offset", "")), int(limit) if is_in_range else 50, MANAGED[kind])


def _offset(position: int) -> str:
    """Encode a position in the list, opaque to clients: Base64 with `*` for `=`, like the guide's `MTA*`."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().replace("=", "*")


def _position(offset: str) -> int:
    try:
        position = base64.b64decode(offset.replace("*", "="), altchars=b"-_", validate=True).decode() or "0"
    except ValueError:
        position = ""
    if not re.fullmatch("[0-9]{1,9}", position):
        raise Refused(error(400, "query.param.invalid", "offset: Follow the link on the previous page."))
    return int(position)
