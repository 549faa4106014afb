"""The vendor's v2 API, as documented in `docs/account-management/create-account.html` on its v2 developer site."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from provisioning.sandbox.accounts import Account
from provisioning.sandbox.dialect import Dialect, error
from provisioning.sandbox.messages import Answer, Listing, Refused, Request

PATH = "/v2/partner/accounts"

INACTIVE = error(403, "mashery.not.authorized.inactive", "The API key is not known or not active.")


class V2(Dialect):
    path = PATH
    errors: Mapping[str, Answer] = {
        "api-key": INACTIVE,
        "inactive": INACTIVE,
        # The API front end sometimes answers with a bare object: clients must accept both.
        "over-qps": Answer.of(
            403, {"error_key": "mashery.not.authorized.over.qps", "error_message": "Too many calls this second."}
        ),
        "over-quota": Answer.of(
            403, {"error_key": "mashery.not.authorized.over.ratelimit", "error_message": "Too many calls today."}
        ),
        "400": error(400, "json.payload.invalid", "The body is not a JSON object."),
        "401": error(
            401,
            "http.status.authentication.invalid_credentials",
            "The partner's username or password is wrong.",
            **{"WWW-Authenticate": 'Basic realm="partner"'},
        ),
        "404": error(404, "http.status.not_found", "There is nothing at this path."),
        "405": error(405, "http.status.method_not_allowed", "This method is not supported.", Allow="GET, POST"),
        "406": error(406, "http.status.not_acceptable", "The Accept header must be application/json."),
        "409": error(409, "http.status.conflict", "#/username: The username is already in use."),
        "415": error(415, "http.status.unsupported_media_type", "The Content-Type header must be application/json."),
        "500": error(500, "http.status.internal_server_error", "An internal error occurred."),
        "503": error(503, "http.status.service_unavailable", "The service is not available at the moment."),
    }

    def api_key(self, request: Request) -> str:
        return request.query.get("api_key", "")

    def created(self, account: Account, token: str) -> Answer:
        return Answer.of(201, {"id": account.id, **account.properties} | ({"oauth2_token": token} if token else {}))

    def page(self, accounts: Sequence[Account], following: int | None, limit: int) -> Answer:
        results = [
            {
                "id": account.id,
                "username": account.username,
                "status": "TRIAL",
                "organization_name": account.properties["organization_name"],
            }
            for account in accounts
        ]
        link = {} if following is None else {"next_link": f"{PATH}?next={following}-{limit}"}
        return Answer.of(200, {"meta": {"pagination": link}, "results": results})

    def _is_authorized(self, request: Request) -> bool:
        return self._has_credentials(request)

    def _listing(self, query: Mapping[str, str]) -> Listing:
        if "next" in query:
            if not (following := re.fullmatch("([0-9]{1,9})-([1-9][0-9]{0,2})", query["next"])):
                raise Refused(error(400, "query.param.invalid", "next: Follow the link on the previous page."))
            return Listing(int(following[1]), int(following[2]))
        limit = query.get("limit", "50")
        if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= 500:
            raise Refused(error(400, "query.param.invalid", "limit: Must be a number from 1 to 500."))
        return Listing(0, int(limit))

    def _wants_token(self, query: Mapping[str, str]) -> bool:
        wanted = {"true": True, "false": False}.get(query.get("oauth2_token_provided", "false"))
        if wanted is None:
            raise Refused(error(400, "query.param.invalid", "oauth2_token_provided: Must be true or false."))
        return wanted
