"""How a sign-up looks in the API. Never a password, a token, or anything sealed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from django.http import HttpRequest
from django.urls import reverse

from provisioning import rules, services
from provisioning.models import Account
from signup import refusals, usernames
from signup.legal import agreements
from signup.legal.models import LegalText

State = Account.State
TIMES = ("submitted_at", "state_changed_at", "created_at", "erased_at")


def represent(account: Account) -> dict[str, Any]:
    """Return what the API says about a sign-up."""
    is_erased = account.erased_at is not None
    return {
        "reference": str(account.reference),
        "short_reference": account.short_reference,
        "state": account.state,
        "is_final": account.state in Account.FINAL,
        "account_id": account.account_id or None,
        "host": account.host,
        "language": account.language,
        **{name: _iso(account, name) for name in TIMES},
        **{name: None if is_erased else getattr(account, name) for name in rules.SHOWN_PROPERTIES},
        "idp_provider_id": account.idp_provider_id or None,
        "partner_account_id": account.partner_account_id or None,
        "attribution": account.attribution,
        "declined": _declined(account),
    }


def represent_in_full(account: Account) -> dict[str, Any]:
    """Return the same, and what takes further queries: what must be corrected, and whether the account may exist."""
    shown = represent(account)
    shown["may_exist"] = services.may_exist(account)
    shown["refused"] = _refused(account) if account.state == State.REJECTED else []
    is_taken = any(each["code"] == "taken" for each in shown["refused"])
    shown["suggestions"] = usernames.suggestions(_named(account)) if is_taken else []
    accepted = agreements.accepted_by([account.pk])[account.pk]
    shown["agreements"] = [each | {"at": each["at"].isoformat()} for each in accepted]
    shown["correct_before"] = account.due_at.isoformat() if account.state == State.REJECTED and account.due_at else None
    return shown


def represent_text(text: LegalText, origin: str) -> dict[str, Any]:
    """Return what the API says about a legal text; `origin` is the address of its brand's page."""
    return agreements.serialize_text(text) | {
        "url": urljoin(origin, text.address),
        "sha256": text.sha256,
        "is_required": text.kind in LegalText.REQUIRED,
    }


def address(request: HttpRequest, account: Account) -> str:
    """Return where a sign-up can be read."""
    return request.build_absolute_uri(reverse("api_signup", args=[account.reference]))


def _refused(account: Account) -> list[dict[str, str]]:
    refused = {name: (key or "refused", _explain(name, key)) for name, key in services.refused_keys(account).items()}
    if services.is_username_taken(account):
        refused["username"] = ("taken", " ".join(services.TAKEN.messages))
    return [{"property": name, "code": code, "message": message} for name, (code, message) in refused.items()]


def _explain(name: str, key: str) -> str:
    """Return the text for the customer; for a property that the partner supplies, nobody has written one."""
    return refusals.explain(name, key) if name in refusals.REFUSED else ""


def _declined(account: Account) -> dict[str, str] | None:
    if not account.decline_reason:
        return None
    return {"reason": account.decline_reason, "note": account.decline_note}


def _named(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in rules.SHOWN_PROPERTIES}


def _iso(account: Account, name: str) -> str | None:
    at = getattr(account, name)
    return at.isoformat() if at else None
