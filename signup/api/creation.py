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

from provisioning import gateway, rules, services
from provisioning.audit import SIGNED_UP
from provisioning.models import Account, AuditEntry
from signup import abuse, emails, legal, usernames, visitors, write_lock
from signup.api import problems, validation
from signup.api.models import ApiKey, ApiSignup
from signup.api.problems import Problem
from signup.brand.models import brand_at
from signup.legal.models import LegalText

LIMIT_RETRY = 3600
"""Seconds after which a limit on sign-ups may allow another one."""


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
    try:
        return _create(request, key, submission, body)
    except legal.Deleted:
        return _create(request, key, submission, body)  # Validated again, with the texts that are in force now.


def _create(request: HttpRequest, key: ApiKey, submission: uuid.UUID, body: Mapping[str, Any]) -> Account:
    new, accepted = _prepare(request, key, submission, body)
    try:
        return _store(request, key, new, accepted, body)
    except ValidationError as problem:
        if sent := sent_before(submission, body):
            return sent
        raise problem_with_suggestions(problem, body) from None


def forget(account: Account, **kwargs: Any) -> None:
    """Wipe the fingerprints of an account whose personal data is erased."""
    ApiSignup.objects.filter(account=account).update(fingerprint="", password_fingerprint="")


def forget_password(account: Account, to: str, **kwargs: Any) -> None:
    """Wipe the password's fingerprint together with the password. Weak passwords could be guessed from it."""
    if to in Account.FINAL:
        ApiSignup.objects.filter(account=account).update(password_fingerprint="")


def problem_with_suggestions(problem: ValidationError, entered: Mapping[str, Any]) -> Problem:
    """Return the problem for values that can't be accepted, with usernames to choose from instead of a taken one."""
    if getattr(problem, "code", "") == "limit":
        errors = list(problems.list_errors(problem))
        return Problem("limit", headers={"Retry-After": str(LIMIT_RETRY)}, errors=errors)
    made = problems.problem_with_values(problem)
    if made.code == "taken":
        made.more["suggestions"] = usernames.suggestions(entered)
    return made


def _require_quota() -> None:
    """Raise Problem once only the share of the day's quota is left that is kept for customers on the page."""
    if settings.ABUSE_PROTECTION and gateway.is_down_to_reserve():
        raise Problem("quota", headers={"Retry-After": str(int(gateway.until_reset().total_seconds()) + 1)})


def _prepare(
    request: HttpRequest, key: ApiKey, submission: uuid.UUID, body: Mapping[str, Any]
) -> tuple[Account, list[LegalText]]:
    """Return the sign-up, and the legal texts that the customer has accepted. Raises Problem."""
    host = host_of(request, key)
    brand = brand_at(host)
    try:
        accepted = validation.require_valid(body, brand)
        new = services.prepare(
            body,
            submission,
            str(body.get("idp_provider_id") or ""),
            host,
            language=str(body.get("language") or ""),
            billing_locale=brand.billing_locale,
            partner_account_id=str(body.get("partner_account_id") or ""),
            attribution=body.get("attribution") or {},
        )
    except ValidationError as problem:
        raise problems.problem_with_values(problem) from None
    new.submission = submission  # Also with single sign-on: the partner's system says what is the same, not the person.
    return new, accepted


def host_of(request: HttpRequest, key: ApiKey) -> str:
    """Return the host name of the brand that the customer sees. Raises Problem if it isn't the key's."""
    if key.brand and key.brand.host:
        return key.brand.host
    host = visitors.host_name(request)
    if key.brand and brand_at(host).host:
        raise Problem("brand")
    return host


def _store(
    request: HttpRequest, key: ApiKey, new: Account, accepted: list[LegalText], body: Mapping[str, Any]
) -> Account:
    """Count the sign-up and store it, in one transaction. Raises ValidationError, and then it stays counted."""
    call = abuse.id_of_call(new.submission, new.username, new.email)
    with write_lock.hold(), transaction.atomic():
        try:
            hold = abuse.record_api_call(str(key.pk), call, new.email, new.host)
            account = services.submit(new, hold=hold)
        except ValidationError as problem:
            refused = problem
        else:
            if account is new:
                legal.record(account, accepted)
                _note(request, key, account, body)
            elif account.submission != new.submission:
                raise Problem("signed_up", errors=[_signed_up()])
            elif not account.erased_at and not _is_same(account, body):
                raise Problem("idempotency_key_reused")
            return Account.objects.get(pk=account.pk)  # With the times that the database stored.
    raise refused


def _note(request: HttpRequest, key: ApiKey, account: Account, body: Mapping[str, Any]) -> None:
    made, password = _fingerprints(body)
    ApiSignup.objects.create(account=account, key=key, fingerprint=made, password_fingerprint=password)
    AuditEntry.objects.create(account=account, agent=key.agent, what=SIGNED_UP)
    emails.enable(account, request, key.brand.host if key.brand else "")


def _is_same(account: Account, body: Mapping[str, Any]) -> bool:
    """Whether this body created the account. Once the password is wiped, any counts as the same.

    After SECRET_KEY was replaced, fingerprints can't be compared. Then, the values are.
    """
    kept = account.api_signup if hasattr(account, "api_signup") else ApiSignup()
    now, password = _fingerprints(body)
    if kept.fingerprint.partition(":")[0] == now.partition(":")[0]:
        return kept.fingerprint == now and kept.password_fingerprint in {"", password}
    try:
        entered = rules.clean(body, only=validation.sent_properties())
    except ValidationError:
        return False
    return not services.differences(account, entered)


def _fingerprints(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return an HMAC of the body without its password, after one of which key it was made with, and the password's."""
    rest = json.dumps({name: value for name, value in body.items() if name != "password"}, sort_keys=True)
    made_with, made, password = (
        salted_hmac("signup.api.fingerprint", text, algorithm="sha256").hexdigest()
        for text in ("made with", rest, json.dumps(["password", body.get("password")]))
    )
    return f"{made_with[:8]}:{made}", password


def _signed_up() -> dict[str, str]:
    return {"property": "idp_provider_id", "code": "signed_up", "message": "This customer has already signed up."}
