"""Validation of the body of a new sign-up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from provisioning import attribution, rules
from signup import legal
from signup.brand.models import Brand
from signup.legal.models import LegalText

NOT_SENT = ("language", "attribution", "agreements")
"""Properties that stay here: Constant Contact doesn't get them."""


def properties() -> tuple[str, ...]:
    """Return what the body may contain: what customers are asked for, and what only the partner's system knows."""
    single_sign_on = bool(settings.CONSTANT_CONTACT_IDP_PROVIDER)
    return (*rules.customer_properties(single_sign_on=single_sign_on), *own_properties(), *NOT_SENT)


def own_properties() -> tuple[str, ...]:
    """Return the properties that only the partner's system knows."""
    identity = ["idp_provider_id"] if settings.CONSTANT_CONTACT_IDP_PROVIDER else []
    return (*identity, "partner_account_id")


def sent_properties() -> set[str]:
    """Return the properties that Constant Contact gets."""
    return {*properties()} - {*NOT_SENT}


def require_valid(body: Mapping[str, Any], brand: Brand) -> list[LegalText]:
    """Return the legal texts that the customer has accepted. Raises ValidationError with everything that is wrong."""
    wrong: dict[str, Any] = {}
    try:
        cleaned = rules.clean(body, only=sent_properties())
    except ValidationError as problem:
        wrong, cleaned = problem.error_dict, rules.Cleaned(idp_provider_id="unknown")
    if not cleaned.get("idp_provider_id", "none"):
        wrong["idp_provider_id"] = ValidationError("Enter a value.", code="required")
    if body.get("language") not in (None, "", *dict(settings.LANGUAGES)):
        wrong["language"] = ValidationError("Choose one from the list.", code="choice")
    wrong |= _wrong_attribution(body.get("attribution"))
    accepted: list[LegalText] = []
    try:
        accepted = _accepted(body, brand)
    except ValidationError as problem:
        wrong["agreements"] = problem
    if wrong:
        raise ValidationError(wrong)
    return accepted


def _accepted(body: Mapping[str, Any], brand: Brand) -> list[LegalText]:
    ids = body.get("agreements") or []
    if not isinstance(ids, list) or not all(type(each) is int for each in ids):
        raise ValidationError("Enter a list of the `id`s of legal texts.", code="type")
    language = body.get("language")
    return legal.accept(brand, ids, language if isinstance(language, str) and language else settings.LANGUAGE_CODE)


def _wrong_attribution(given: object) -> dict[str, ValidationError]:
    """Return what is wrong with where a sign-up came from. A form drops that; a system can be told."""
    if not isinstance(given, dict | None):
        return {"attribution": ValidationError("Enter an object.", code="type")}
    wrong: dict[str, ValidationError] = {}
    for name, value in (given or {}).items():
        if name not in attribution.NAMES:
            problem = ValidationError("There is no such property.", code="unknown_property")
        elif not isinstance(value, str | None):
            problem = ValidationError("Enter text.", code="type")
        elif value and len(value) > attribution.MAX_LENGTH:
            problem = ValidationError(f"Use at most {attribution.MAX_LENGTH} characters.", code="max_length")
        else:
            continue
        wrong[f"attribution.{name[:100]}"] = problem
    return wrong
