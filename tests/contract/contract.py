"""Validation of one call against the vendor's contract, by jsonschema instead of our own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator

from provisioning.constant_contact.client import USER_AGENT
from provisioning.sandbox.messages import Answer, Request
from provisioning.sandbox.v3 import STRICTER, TOKEN_PATH

CONTRACT: dict[str, Any] = json.loads((Path(__file__).parent / "v3-partner-contract.json").read_text())
PATHS: dict[str, Any] = {CONTRACT["basePath"] + path: methods for path, methods in CONTRACT["paths"].items()}
KEY = CONTRACT["securityDefinitions"]["api_key"]["name"]
UNDECLARED_STATUSES = {405, 406, 413, 429}
"""Statuses that any path can answer with, but that the contract doesn't name: RFC 9110 and `rate_limits.html`."""


def problems_of(schema: dict[str, Any], value: Any) -> list[str]:
    """Return a value's violations of one of the contract's schemas. Swagger 2.0 has JSON Schema's draft 4."""
    validator = Draft4Validator(
        schema | {"definitions": CONTRACT["definitions"]}, format_checker=Draft4Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.validator}" for error in validator.iter_errors(value)]


def problems_of_request(request: Request) -> list[str]:
    """Return a request's violations, without the values sent, which may be secrets."""
    operation = PATHS.get(request.path, {}).get(request.method.lower())
    if not operation:
        return ["there is no such operation"]
    found = [] if request.headers.get(KEY) else [f"{KEY} is missing"]
    if not request.headers.get("Authorization", "").lower().startswith("bearer "):
        found.append("no access token")
    found += _problems_of_query(operation, request)
    for parameter in operation["parameters"]:
        if parameter["in"] == "body":
            found += _problems_of_body(parameter["schema"], request)
    return found


def _problems_of_query(operation: dict[str, Any], request: Request) -> Iterator[str]:
    known = {parameter["name"]: parameter for parameter in operation["parameters"] if parameter["in"] == "query"}
    for name, value in request.query.items():
        if name not in known:
            yield f"?{name} is not in the contract"
        elif value not in known[name].get("enum", [value]):
            yield f"?{name} is none of its values"


def _out_of_range(request: Request) -> Iterator[str]:
    """Yield numbers in the query that the vendor would ignore. The contract declares them as strings with a range."""
    for parameter in PATHS[request.path][request.method.lower()]["parameters"]:
        value = request.query.get(parameter["name"], "")
        if value and "maximum" in parameter and not parameter["minimum"] <= int(value) <= parameter["maximum"]:
            yield f"?{parameter['name']} is out of range"


def _problems_of_body(schema: dict[str, Any], request: Request) -> Iterator[str]:
    if request.headers.get_content_type() not in CONTRACT["consumes"]:
        yield "not sent as JSON"
    try:
        yield from problems_of(schema, json.loads(request.body.decode()))
    except (ValueError, RecursionError):
        yield "no JSON"


def undeclared_in(schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Yield the properties that an object has but its schema does not declare."""
    while "$ref" in schema:
        schema = CONTRACT["definitions"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for each in value:
            yield from undeclared_in(schema.get("items", {}), each)
    elif isinstance(value, dict):
        declared = schema.get("properties", {})
        yield from value.keys() - declared.keys()
        for name in value.keys() & declared.keys():
            yield from undeclared_in(declared[name], value[name])


def violations(request: Request, answer: Answer, is_fault: bool) -> Iterator[str]:
    """Yield how a call violates the contract: our client by its request, or the sandbox by its answer.

    A test may send an invalid request if the sandbox refuses it. A triggered fault may answer anything.
    """
    if request.path == TOKEN_PATH:  # Not in the contract, but in RFC 6749.
        return
    wrong = problems_of_request(request)
    is_ours = request.headers.get("User-Agent") == USER_AGENT
    if is_ours:
        yield from (f"our request: {problem}" for problem in wrong or _out_of_range(request))
    if is_fault:
        return
    if wrong and answer.status < 400:
        yield f"a wrong request is answered {answer.status}: {wrong}"
    operation = PATHS.get(request.path, {}).get(request.method.lower())
    if operation:
        yield from _problems_of_answer(operation, answer)
        if answer.status == 400 and not wrong:
            yield from _too_strict(answer)


def _problems_of_answer(operation: dict[str, Any], answer: Answer) -> Iterator[str]:
    declared = operation["responses"]
    if str(answer.status) not in declared and answer.status not in UNDECLARED_STATUSES:
        yield f"answered {answer.status}, which the contract does not know"
    if answer.content_type not in CONTRACT["produces"]:
        yield f"answered as {answer.content_type}"
    if schema := declared.get(str(answer.status), {}).get("schema"):
        body = json.loads(answer.body)
        yield from (f"answered with {problem}" for problem in problems_of(schema, body))
        yield from (f"answered with {name}, which is not in the contract" for name in undeclared_in(schema, body))


def _too_strict(answer: Answer) -> Iterator[str]:
    """Yield errors for what the contract allows, unless the sandbox declares that it is stricter (`STRICTER`)."""
    for error in json.loads(answer.body):
        key, name = error["error_key"], error["error_message"].partition(":")[0].removeprefix("#/")
        if not any(key == each.error_key and name in (each.names or {name}) for each in STRICTER):
            yield f"refused for {name} with {key}, which the contract allows"
