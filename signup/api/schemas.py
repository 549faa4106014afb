"""The schemas of openapi.json: what a body may hold, by the rules in force, and how answers look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from provisioning import attribution, rules
from provisioning.models import Account
from signup.api import problems, representation, validation
from signup.fields import LABELS
from signup.legal.models import LegalText

Schema = dict[str, Any]

EXAMPLE: Mapping[str, object] = {
    "organization_name": "Anna's Bakery",
    "website": "https://bakery.example.com",
    "country_code": "US",
    "state_code": "MA",
    "first_name": "Anna",
    "last_name": "Jones",
    "email": f"anna@{rules.TEST_DOMAIN}",
    "phone": "+1 555 010 0199",
    "username": "anna.bakery",
    "password": "blue-Lemon.41",
    "gdpr_opt_out": False,
    "idp_provider_id": "customer-4711",
    "partner_account_id": "crm-4711",
    "language": "en",
    "attribution": {"utm_source": "newsletter", "promo": "SPRING"},
}


OWN = {
    "idp_provider_id": "Your own ID for the customer, as your identity provider sends it",
    "partner_account_id": "Your own ID for the account, which Constant Contact stores too",
}
"""The words for what only the partner's system knows."""


def build() -> dict[str, Schema]:
    return {
        "NewSignup": _new(),
        "Correction": _correction(),
        "Decline": _decline(),
        "Signup": _signup(),
        "SignupInFull": _signup_in_full(),
        "Agreement": _agreement(),
        "LegalTexts": _legal_texts(),
        "Page": _page(),
        "Problem": _problem(),
        "Error": _error(),
    }


def ref(name: str) -> Schema:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def _new() -> Schema:
    active = rules.active()
    names = validation.properties()
    required = [name for name in names if name in active and (active[name].required or name == "idp_provider_id")]
    made = {name: _property(active[name], required=name in required) for name in names if name in active}
    made["language"] = {"enum": [*dict(settings.LANGUAGES), "", None], "description": "The language of our emails."}
    made["attribution"] = _attribution() | {"type": ["object", "null"], "additionalProperties": False}
    ids = {"type": "array", "items": {"type": "integer"}}
    text = "The `id`s of the legal texts that the customer has accepted on your page, if your brand has any."
    made["agreements"] = {"anyOf": [ids, {"type": "null"}], "description": text}
    example = {name: value for name, value in EXAMPLE.items() if name in names}
    return _object(made, required) | {"additionalProperties": False, "examples": [example]}


def _correction() -> Schema:
    active = rules.active()
    made = {name: _property(active[name], required=False) for name in validation.properties() if name in active}
    made.pop("idp_provider_id", None)
    return _object(made, []) | {"additionalProperties": False, "examples": [{"phone": "+1 555 010 0142"}]}


def _property(rule: rules.Rule, *, required: bool) -> Schema:
    """Return a rule as a schema. Its description, and the error for a wrong value, say what a schema can't."""
    kind = "boolean" if rule.kind is bool else "string"
    made: Schema = {"type": kind if required else [kind, "null"]}
    words = [str(LABELS.get(rule.name) or OWN[rule.name]), rule.help()]
    made["description"] = ". ".join(text.rstrip(".") for text in words if text) + "."
    if rule.kind is bool:
        return made
    if rule.codes:
        return made | {"enum": [*sorted(rule.codes), *([] if required else ["", None])]}
    made["maxLength"] = rule.max_length
    if required:
        made["minLength"] = rule.min_length
    if rule.characters:
        made["pattern"] = f"^[{rule.characters}]*$"
    if rule.is_email:
        made["format"] = "email"
    if rule.is_secret:
        made |= {"format": "password", "writeOnly": True}
    return made


def _decline() -> Schema:
    reasons = {"enum": list(Account.DeclineReason.values), "description": "Customers read it in their own language."}
    note = {"type": ["string", "null"], "maxLength": 500, "description": "Customers read it. Required for `other`."}
    return _object({"reason": reasons, "note": note}, ["reason"]) | {
        "additionalProperties": False,
        "examples": [{"reason": "not_eligible"}],
    }


def _signup() -> Schema:
    text, maybe = {"type": "string"}, {"type": ["string", "null"]}
    time = {"type": ["string", "null"], "format": "date-time"}
    made: Schema = {
        "reference": {"type": "string", "format": "uuid", "description": "The ID of the sign-up, here and for staff."},
        "short_reference": text | {"description": "Its beginning, which customers can read out."},
        "state": {"enum": list(Account.State.values)},
        "is_final": {"type": "boolean", "description": "Whether the state never changes again."},
        "account_id": maybe | {"description": "Constant Contact's ID of the account, once it is created."},
        "host": text | {"description": "The host name of the brand that the customer sees."},
        "language": text,
        **dict.fromkeys(representation.TIMES, time),
        **{name: _shown(rules.RULES[name]) for name in rules.SHOWN_PROPERTIES},
        "idp_provider_id": maybe,
        "partner_account_id": maybe,
        "attribution": _attribution(),
        "declined": {"anyOf": [_object({"reason": text, "note": text}, ["reason", "note"]), {"type": "null"}]},
    }
    return _object(made, list(made))


def _attribution() -> Schema:
    values = {
        name: {"type": ["string", "null"], "maxLength": attribution.MAX_LENGTH, "description": f"{words}."}
        for name, words in attribution.NAMES.items()
    }
    return _object(values, []) | {"description": "Where the sign-up came from. Only your staff see it."}


def _shown(rule: rules.Rule) -> Schema:
    return {"type": ["boolean" if rule.kind is bool else "string", "null"], "description": "null once it is erased."}


def _signup_in_full() -> Schema:
    names = {"type": "array", "items": {"type": "string"}}
    more: Schema = {
        "may_exist": {
            "type": "boolean",
            "description": "Whether Constant Contact may have created the account without telling us.",
        },
        "refused": {"type": "array", "items": ref("Error"), "description": "What to correct, if it is rejected."},
        "suggestions": names | {"description": "Usernames to choose from, if it is taken."},
        "agreements": {"type": "array", "items": ref("Agreement"), "description": "What the customer has accepted."},
        "correct_before": {"type": ["string", "null"], "format": "date-time"},
    }
    return {"allOf": [ref("Signup"), _object(more, list(more))]}


def _agreement() -> Schema:
    made = _TEXT | {"at": {"type": "string", "format": "date-time"}}
    return _object(made, list(made))


def _legal_texts() -> Schema:
    made = _TEXT | {
        "url": {"type": "string", "format": "uri"},
        "sha256": {"type": "string"},
        "is_required": {"type": "boolean", "description": "Whether nobody can sign up without accepting it."},
    }
    return _object({"items": {"type": "array", "items": _object(made, list(made))}}, ["items"])


_TEXT: Schema = {
    "id": {"type": "integer"},
    "kind": {"enum": list(LegalText.Kind.values)},
    "version": {"type": "string"},
    "language": {"type": "string", "description": "Empty: for all languages that have no text of their own."},
}


def _page() -> Schema:
    made = {
        "items": {"type": "array", "items": ref("Signup")},
        "next": {"type": ["string", "null"], "format": "uuid", "description": "The `cursor` of the next page."},
    }
    return _object(made, list(made))


def _problem() -> Schema:
    made: Schema = {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"enum": list(problems.CODES)},
        "detail": {"type": "string", "description": "What is wrong, for developers."},
    }
    more: Schema = {
        "errors": {"type": "array", "items": ref("Error")},
        "suggestions": {"type": "array", "items": {"type": "string"}},
    }
    return _object(made | more, list(made))


def _error() -> Schema:
    made = {
        "property": {"type": ["string", "null"], "description": "null if it concerns several."},
        "code": {"type": "string"},
        "message": {"type": "string", "description": "What is wrong, for customers, in the language of the request."},
    }
    return _object(made, list(made))


def _object(properties: Mapping[str, Any], required: list[str]) -> Schema:
    return {"type": "object", "properties": dict(properties), **({"required": required} if required else {})}
