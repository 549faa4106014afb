"""Errors of the API, as problem documents (RFC 9457). Imports little: the error pages of the whole site use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, JsonResponse

PREFIX = "/api/"
CONTENT_TYPE = "application/problem+json"

CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request can't be read."),
    "bad_json": (400, "The body is not a JSON object that this API can read."),
    "unknown_property": (400, "The body has a property that doesn't exist here."),
    "bad_parameter": (400, "A parameter of the query is unknown or wrong."),
    "idempotency_key": (
        400,
        "Send an Idempotency-Key header: 1 to 255 visible ASCII characters, new for each sign-up.",
    ),
    "https_required": (403, "Send requests over HTTPS only. This key was sent unencrypted: replace it."),
    "unauthorized": (401, "Send a key that is neither revoked nor expired: Authorization: Bearer ccs_…"),
    "scope": (403, "This key doesn't have the scope for this."),
    "brand": (403, "This key is for a brand with another host name. Send the request there."),
    "network": (403, "This key can't be used from your network."),
    "not_found": (404, "There is nothing here, or this key may not see it."),
    "method": (405, "This method doesn't work here; the Allow header has those that do."),
    "taken": (409, "The username is taken."),
    "signed_up": (409, "This customer has already signed up."),
    "state": (409, "The sign-up's state doesn't allow this."),
    "moved": (409, "The sign-up changed at the same moment. Read it again."),
    "length_required": (411, "Send the body with a Content-Length header."),
    "too_large": (413, "The body is too large."),
    "content_type": (415, "Send the body as application/json in UTF-8, not compressed."),
    "invalid": (422, "Some values can't be accepted."),
    "idempotency_key_reused": (
        422,
        "This Idempotency-Key was used with another body before. Use a new one only for a new sign-up.",
    ),
    "limit": (429, "There were too many requests of this kind. Wait as long as Retry-After says."),
    "server_error": (500, "Something went wrong on our side, and was logged. Send the same request again later."),
    "unavailable": (503, "The database can't be reached or is too busy. Send the same request again later."),
    "quota": (503, "Today's calls to Constant Contact are almost used up. Send the same request again later."),
}
"""Code of a problem → its HTTP status, and what it means for the developer who reads it."""

BY_STATUS = {400: "bad_request", 404: "not_found", 500: "server_error", 503: "unavailable"}


class Problem(Exception):
    """Raised to answer with a problem. `more` are further members of the document, `headers` of the response."""

    def __init__(self, code: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(code)
        self.code, self.headers, self.more = code, headers or {}, more

    def response(self) -> JsonResponse:
        status, detail = CODES[self.code]
        document = {"type": "about:blank", "title": _title(status), "status": status, "code": self.code}
        document |= {"detail": detail} | self.more
        return JsonResponse(document, status=status, headers=dict(self.headers), content_type=CONTENT_TYPE)


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(PREFIX)


def error_response(status: int, retry_after: int | None = None) -> JsonResponse:
    """Return the problem for an error that is not the API's own."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Problem(BY_STATUS.get(status, "bad_request"), headers=headers).response()


def problem_with_values(problems: ValidationError) -> Problem:
    """Return the problem for values that were not accepted; a taken username is a conflict."""
    errors = list(list_errors(problems))
    taken = any(each["property"] == "username" and each["code"] == "taken" for each in errors)
    return Problem("taken" if taken else "invalid", errors=errors)


def list_errors(problems: ValidationError) -> Iterator[dict[str, Any]]:
    """Yield each error with its property (null if it concerns several), code, and message."""
    named = problems.error_dict if hasattr(problems, "error_dict") else {NON_FIELD_ERRORS: problems.error_list}
    for name, errors in named.items():
        for error in errors:
            yield {
                "property": None if name == NON_FIELD_ERRORS else name,
                "code": error.code or "invalid",
                "message": " ".join(error.messages),
            }


def _title(status: int) -> str:
    # Python 3.13 renamed some phrases; RFC 9110 has the new ones.
    renamed = {413: "Content Too Large", 422: "Unprocessable Content"}
    return renamed.get(status) or HTTPStatus(status).phrase
