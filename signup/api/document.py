"""The OpenAPI 3.1 document of the API, made from the rules in force, the scopes, and the problems.

It is imported only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.urls import reverse

from provisioning.admin.actions import DeclineForm
from provisioning.models import Account
from signup.api import listing, problems, schemas
from signup.api.models import Scope
from signup.api.operations import VERBS
from signup.api.schemas import Schema, ref

ANY = ("unauthorized", "network", "scope", "https_required", "method", "limit", "bad_request", "server_error")
"""Problems that every request may meet."""
BODY = ("bad_json", "unknown_property", "length_required", "too_large", "content_type", "invalid")
TEXT = """\
Create sign-ups for Constant Contact trial accounts, follow them, and act as staff.

Values are cleaned up before they are validated, as on the sign-up page: surrounding spaces are removed, and a
country code or a username may be in uppercase. Limits apply to the result. null means no value.
"""


def build() -> Schema:
    """Return the document, for the rules and settings in force now."""
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {"title": "Constant Contact sign-up", "version": settings.VERSION, "description": TEXT},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": _scopes()}},
            "schemas": schemas.build(),
        },
    }


def _scopes() -> str:
    return "Scopes: " + "; ".join(f"{scope.value}: {scope.label}" for scope in Scope) + "."


def _paths() -> Schema:
    address = reverse("api_signups")
    of_one = f"{address}/{{reference}}"
    return {
        reverse("api_legal_texts"): {"get": _list_legal_texts()},
        address: {"get": _list_signups(), "post": _create_signup()},
        of_one: {"parameters": [_reference()], "get": _read_signup(), "patch": _correct_signup()},
        **{f"{of_one}/{verb}": {"parameters": [_reference()], "post": _verb(verb)} for verb in VERBS},
    }


def _list_legal_texts() -> Schema:
    return _operation(
        "list_legal_texts",
        "List the legal texts that customers accept",
        Scope.CREATE,
        _answer("The texts in force.", ref("LegalTexts")),
        ["bad_parameter", "brand"],
        parameters=[{"name": "language", "in": "query", "schema": {"enum": list(dict(settings.LANGUAGES))}}],
    )


def _list_signups() -> Schema:
    return _operation(
        "list_signups",
        "List sign-ups, newest first",
        Scope.READ,
        _answer("A page.", ref("Page")),
        ["bad_parameter"],
        parameters=_query(),
    )


def _create_signup() -> Schema:
    created = _answer("Accepted. `state` says what happens next.", ref("SignupInFull"), "Where to read it.")
    to_it = {"parameters": {"reference": "$response.body#/reference"}}
    created["links"] = {
        "read": {"operationId": "read_signup", **to_it},
        "correct": {"operationId": "correct_signup", **to_it},
    }
    return _operation(
        "create_signup",
        "Create a sign-up",
        Scope.CREATE,
        created,
        ["idempotency_key", "taken", "signed_up", "idempotency_key_reused", "brand", "quota", *BODY],
        body="NewSignup",
        parameters=[_idempotency_key()],
        status=202,
    )


def _read_signup() -> Schema:
    answer = _answer("The sign-up.", ref("SignupInFull"))
    return _operation("read_signup", "Read a sign-up", Scope.READ, answer, ["not_found"])


def _correct_signup() -> Schema:
    return _operation(
        "correct_signup",
        "Correct a rejected sign-up: send what changes",
        Scope.CORRECT,
        _answer("The sign-up, which is sent again.", ref("SignupInFull")),
        ["not_found", "state", "moved", "taken", *BODY],
        body="Correction",
    )


def _verb(verb: str) -> Schema:
    return _operation(
        verb.replace("-", "_"),
        f"{VERBS[verb].label}, as staff do",
        Scope.STAFF,
        _answer("The sign-up.", ref("SignupInFull")),
        ["not_found", "state", "moved", *BODY],
        body="Decline" if VERBS[verb].form is DeclineForm else "",
    )


def _operation(
    name: str,
    summary: str,
    scope: Scope,
    answer: Schema,
    codes: Iterable[str],
    *,
    body: str = "",
    parameters: Iterable[Schema] = (),
    status: int = 200,
) -> Schema:
    made: Schema = {
        "operationId": name,
        "summary": summary,
        "description": f"Scope: `{scope.value}`.",
        "parameters": [*parameters, _accept_language()],
        "responses": {str(status): answer, **_problems([*ANY, *codes])},
    }
    if body:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return made


def _problems(codes: Iterable[str]) -> Schema:
    """Return the responses for problems, by status, each with its codes."""
    by_status: dict[int, list[str]] = {}
    for code in [*codes, "unavailable"]:
        by_status.setdefault(problems.CODES[code][0], []).append(code)
    headers = {
        401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
        405: {"Allow": {"required": True, "schema": {"type": "string"}}},
        429: {"Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer"}}},
        503: {"Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer"}}},
    }
    return {
        str(status): {
            "description": " ".join(f"`{code}`: {problems.CODES[code][1]}" for code in of_status),
            "content": {problems.CONTENT_TYPE: {"schema": ref("Problem")}},
            **({"headers": headers[status]} if status in headers else {}),
        }
        for status, of_status in sorted(by_status.items())
    }


def _answer(text: str, schema: Schema, location: str = "") -> Schema:
    made: Schema = {"description": text, "content": {"application/json": {"schema": schema}}}
    if location:
        uri = {"type": "string", "format": "uri"}
        made["headers"] = {"Location": {"required": True, "description": location, "schema": uri}}
    return made


def _query() -> list[Schema]:
    schemas: dict[str, Schema] = {
        "state": {"enum": list(Account.State.values)},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": listing.MAX_PAGE_SIZE,
            "default": listing.DEFAULT_PAGE_SIZE,
        },
        "cursor": {"type": "string", "format": "uuid"},
    }
    time = {"type": "string", "format": "date-time"}
    return [
        {"name": name, "in": "query", "description": words, "schema": schemas.get(name, time)}
        for name, (_parse, words) in listing.PARAMETERS.items()
    ]


def _reference() -> Schema:
    return {"name": "reference", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


def _idempotency_key() -> Schema:
    text = "Your own ID of this sign-up. With the same key and body, you get the same sign-up, however often you ask."
    schema = {"type": "string", "pattern": "^[!-~]{1,255}$", "examples": ["order-4711"]}
    return {"name": "Idempotency-Key", "in": "header", "required": True, "description": text, "schema": schema}


def _accept_language() -> Schema:
    text = "The language of the errors' messages, which you may show to customers: " + ", ".join(
        dict(settings.LANGUAGES)
    )
    return {"name": "Accept-Language", "in": "header", "description": f"{text}.", "schema": {"type": "string"}}
