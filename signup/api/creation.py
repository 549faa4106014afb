"""Creating a sign-up through the API: once for each Idempotency-Key, whatever is sent again."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from provisioning import attribution, gateway, rules, services
from provisioning.audit import SIGNED_UP
from provisioning.models import Account, AuditEntry
from signup import abuse, mails, turn, usernames, visitors
from signup.api import problems
from signup.api.models import ApiKey, ApiSignup
from signup.api.problems import Problem
from signup.brand.models import brand_at

PARTNERS = "partner_account_id"
"""The partner's own ID for the account."""
NOT_SENT = ("language", "attribution")
"""Properties that stay here: Constant Contact doesn't get them."""
LIMIT_RETRY = 3600
"""Seconds after which a limit on sign-ups may allow another one."""


def properties() -> tuple[str, ...]:
    """Return what the body may contain: what customers are asked for, and what only the partner's system knows."""
    single_sign_on = bool(settings.CONSTANT_CONTACT_IDP_PROVIDER)
    return (*rules.asked(single_sign_on=single_sign_on), *own_properties(), *NOT_SENT)


def own_properties() -> tuple[str, ...]:
    """Return the properties that only the partner's system knows."""
    return ("idp_provider_id", PARTNERS) if settings.CONSTANT_CONTACT_IDP_PROVIDER else (PARTNERS,)


def submission_of(request: HttpRequest, key: ApiKey) -> uuid.UUID:
    """Return the one-time ID of the sign-up that this request is about. Raises Problem without an Idempotency-Key.

    Nobody can guess it, because the key's namespace is random: on the sign-up page, the same ID leads to the account.
    """
    given = request.headers.get("Idempotency-Key", "")
    if not re.fullmatch(r"[!-~]{1,255}", given):
        raise Problem("idempotency_key")
    return uuid.uuid5(key.namespace, given)


def sent_before(submission: uuid.UUID, body: Mapping[str, Any]) -> Account | None:
    """Return the account that the same request has already created. Raises Problem if another body did."""
    account = Account.objects.select_related("api_signup").filter(submission=submission).first()
    if account and not account.erased_at and not _is_same(account, body):
        raise Problem("idempotency_key_reused")
    return account


def create(request: HttpRequest, key: ApiKey, submission: uuid.UUID, body: Mapping[str, Any]) -> Account:
    """Store a sign-up, or return the one that the same request has created meanwhile. Raises Problem."""
    _require_quota()
    new = _prepare(request, key, submission, body)
    try:
        return _store(request, key, new, body)
    except ValidationError as problem:
        if sent := sent_before(submission, body):
            return sent
        raise of_values(problem, body) from None


def forget(account: Account, **kwargs: Any) -> None:
    """Wipe the fingerprint of an account whose personal data is erased."""
    ApiSignup.objects.filter(account=account).update(fingerprint="")


def of_values(problem: ValidationError, entered: Mapping[str, Any]) -> Problem:
    """Return the problem for values that can't be accepted, with usernames to choose from instead of a taken one."""
    if getattr(problem, "code", "") == "limit":
        errors = list(problems.listed(problem))
        return Problem("limit", headers={"Retry-After": str(LIMIT_RETRY)}, errors=errors)
    made = problems.of_values(problem)
    if made.code == "taken":
        made.more["suggestions"] = usernames.suggestions(entered)
    return made


def _require_quota() -> None:
    """Raise Problem once only the share of the day's quota is left that is kept for customers on the page."""
    if settings.ABUSE_PROTECTION and gateway.is_down_to_reserve():
        raise Problem("quota", headers={"Retry-After": str(int(gateway.until_reset().total_seconds()) + 1)})


def _prepare(request: HttpRequest, key: ApiKey, submission: uuid.UUID, body: Mapping[str, Any]) -> Account:
    host = _host(request, key)
    try:
        _require_valid(body)
        new = services.prepare(
            body,
            submission,
            str(body.get("idp_provider_id") or ""),
            host,
            language=str(body.get("language") or ""),
            billing_locale=brand_at(host).billing_locale,
            partner_account_id=str(body.get(PARTNERS) or ""),
            attribution=body.get("attribution") or {},
        )
    except ValidationError as problem:
        raise problems.of_values(problem) from None
    new.submission = submission  # Also with single sign-on: the partner's system says what is the same, not the person.
    return new


def _host(request: HttpRequest, key: ApiKey) -> str:
    """Return the host name of the brand that the customer sees. Raises Problem if it isn't the key's."""
    if key.brand and key.brand.host:
        return key.brand.host
    host = visitors.host_name(request)
    if key.brand and brand_at(host).host:
        raise Problem("brand")
    return host


def _require_valid(body: Mapping[str, Any]) -> None:
    """Raise ValidationError with the problems of all properties, the customer's and the partner's."""
    wrong: dict[str, Any] = {}
    try:
        cleaned = rules.clean(body, only={*properties()} - {*NOT_SENT})
    except ValidationError as problem:
        wrong, cleaned = problem.error_dict, rules.Cleaned(idp_provider_id="unknown")
    if not cleaned.get("idp_provider_id", "none"):
        wrong["idp_provider_id"] = ValidationError("Enter a value.", code="required")
    if body.get("language") not in (None, "", *dict(settings.LANGUAGES)):
        wrong["language"] = ValidationError("Choose one from the list.", code="choice")
    wrong |= _wrong_attribution(body.get("attribution"))
    if wrong:
        raise ValidationError(wrong)


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
        elif value and len(value) > attribution.LONGEST:
            problem = ValidationError(f"Use at most {attribution.LONGEST} characters.", code="max_length")
        else:
            continue
        wrong[f"attribution.{name[:100]}"] = problem
    return wrong


def _store(request: HttpRequest, key: ApiKey, new: Account, body: Mapping[str, Any]) -> Account:
    """Count the sign-up and store it, in one transaction. Raises ValidationError, and then it stays counted."""
    call = uuid.uuid5(new.submission, new.username.lower())
    with turn.to_write(), transaction.atomic():
        try:
            hold = abuse.count_of_key(str(key.pk), call, new.email, new.host)
            account = services.submit(new, hold=hold)
        except ValidationError as problem:
            refused = problem
        else:
            if account is new:
                _note(request, key, account, body)
            elif account.submission != new.submission:
                raise Problem("signed_up", errors=[_signed_up()])
            elif not account.erased_at and not _is_same(account, body):
                raise Problem("idempotency_key_reused")
            return Account.objects.get(pk=account.pk)  # With the times that the database stored.
    raise refused


def _note(request: HttpRequest, key: ApiKey, account: Account, body: Mapping[str, Any]) -> None:
    ApiSignup.objects.create(account=account, key=key, fingerprint=_fingerprint(body))
    AuditEntry.objects.create(account=account, agent=key.agent, what=SIGNED_UP)
    mails.expect(account, request, key.brand.host if key.brand else "")


def _is_same(account: Account, body: Mapping[str, Any]) -> bool:
    """Whether this body created the account.

    After SECRET_KEY was replaced, fingerprints can't be compared. Then, the values are.
    """
    kept = account.api_signup.fingerprint if hasattr(account, "api_signup") else ""
    now = _fingerprint(body)
    if kept.partition(":")[0] == now.partition(":")[0]:
        return kept == now
    try:
        entered = rules.clean(body, only={*properties()} - {*NOT_SENT})
    except ValidationError:
        return False
    return not services.differences(account, entered)


def _fingerprint(body: Mapping[str, Any]) -> str:
    """Return an HMAC of the body, and of which key it was made with. The body has a password, so no plain hash."""
    same = json.dumps(body, sort_keys=True)
    made, made_with = (
        salted_hmac("signup.api.fingerprint", text, algorithm="sha256").hexdigest() for text in (same, "made with")
    )
    return f"{made_with[:8]}:{made}"


def _signed_up() -> dict[str, str]:
    return {"property": "idp_provider_id", "code": "signed_up", "message": "This customer has already signed up."}
