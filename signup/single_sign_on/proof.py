"""A customer's proof of identity, and the page for visitors without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.rules.rule import Text
from signup import attribution
from signup.single_sign_on.pre_login import PreLoginSession

PROOF, TYPED, CAME_FROM = "proof", "typed", "attribution"
"""The key of a proof in the session, and the keys of a form's values, and of where its visitor came from, in the sealed
cookie (see `PreLoginSession`)."""
LIFETIME = 60 * 60
"""Seconds: enough to fill in a form, but hardly enough for somebody else to use the same computer."""
MAX_VALUE_LENGTH = 1000
"""Characters. No rule allows longer values, and they don't belong in a session."""

NOT_SENT = _(
    "Nothing has been sent yet, because you logged in too long ago. Log in again; everything you typed is kept."
)


class NotProven(Exception):
    """Raised for a login or a link that proves nothing. `text` tells the person why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True)
class Proof:
    """The customer's identity, as the partner states it, and what is already known. Empty without single sign-on."""

    idp_provider_id: str = ""
    name: str = ""
    """What the customer recognizes their account with the partner by."""
    partner_account_id: str = ""
    """The partner's own ID for the account, if the customer's link had one."""
    attribution: Mapping[str, str] = field(default_factory=dict)
    """Where the customer came from before they logged in."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Values to fill in the form with, by property, as the partner knows them or as they were typed before."""


def is_id(value: object, name: str = "idp_provider_id") -> bool:
    """Whether this is a valid ID, for the property `name`, without any normalization."""
    try:
        return bool(value) and rules.active()[name].clean(value) == value
    except ValidationError:
        return False


def keep_proof(
    request: HttpRequest,
    idp_provider_id: str,
    values: Mapping[str, Any],
    *,
    link: str = "",
    partner_account_id: str = "",
) -> None:
    """Keep a proof for this browser, under a new session key (against session fixation).

    `link` is the digest of the signed link that it came from, if any, and `partner_account_id` what the link says.
    """
    kept = request.session.get(PROOF, {})
    if kept and kept["idp_provider_id"] != idp_provider_id:
        _forget_typed(request)
    request.session.cycle_key()
    until = time.time() + LIFETIME
    request.session[PROOF] = {
        "idp_provider_id": idp_provider_id,
        "partner_account_id": partner_account_id,
        "values": _known(values),
        "link": link,
        "until": until,
    }


def is_from_link(request: HttpRequest, link: str) -> bool:
    """Whether this browser got its proof by this link."""
    return get_proof(request) is not None and request.session[PROOF]["link"] == link


def get_proof(request: HttpRequest) -> Proof | None:
    """Return this browser's proof; None if one is required and is missing or too old."""
    if not settings.CONSTANT_CONTACT_IDP_PROVIDER:
        return Proof()
    kept = request.session.get(PROOF)
    if not kept or kept["until"] < time.time():
        return None
    who, known = kept["idp_provider_id"], kept["values"]
    own_id = kept.get("partner_account_id", "")  # An older release kept none.
    remembered = PreLoginSession.of(request)
    return Proof(
        idp_provider_id=who,
        name=known.get("email") or who,
        partner_account_id=own_id,
        attribution=remembered.get(CAME_FROM, {}),
        values={**known, **remembered.get(TYPED, {})},
    )


def is_another_customer(request: HttpRequest, idp_provider_id: str) -> bool:
    """Whether this browser has another customer's proof, and the change is not confirmed (by POST) yet."""
    proof = get_proof(request)
    before = proof.idp_provider_id if proof else ""
    return request.method != "POST" and bool(before) and before != idp_provider_id


def ask_to_switch(request: HttpRequest, name: str) -> HttpResponse:
    """Ask whether to continue as the customer `name`: nobody fills in somebody else's form by accident."""
    return render(request, "signup/somebody_else.html", {"proof": get_proof(request), "name": name})


def keep_typed(request: HttpRequest) -> None:
    """Keep what was typed while the customer logs in again."""
    keep_attribution(request, attribution.of_form(request))
    typed = request.POST.dict()
    PreLoginSession.of(request)[TYPED] = _known({**typed, "gdpr_opt_out": "gdpr_opt_out" in typed})


def keep_attribution(request: HttpRequest, came_from: Mapping[str, str]) -> None:
    """Keep where the customer came from while they log in."""
    if came_from:
        PreLoginSession.of(request)[CAME_FROM] = dict(came_from)


def forget_values(request: HttpRequest) -> None:
    """Forget what the form was filled in with. Once it is sent, it belongs to the account, and is erased with it."""
    PreLoginSession.of(request).pop(CAME_FROM, None)
    _forget_typed(request)


def forget_others(request: HttpRequest, idp_provider_id: str) -> None:
    """Forget the proof of any other customer."""
    if request.session.get(PROOF, {}).get("idp_provider_id", idp_provider_id) != idp_provider_id:
        forget_values(request)
        del request.session[PROOF]


def _forget_typed(request: HttpRequest) -> None:
    PreLoginSession.of(request).pop(TYPED, None)
    if kept := request.session.get(PROOF):
        request.session[PROOF] = {**kept, "values": {}, "partner_account_id": ""}


def proof_required(view: Callable[[HttpRequest, Proof], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Decorate a view that needs a proof. Visitors without one are shown how to get it."""

    @wraps(view)
    def page(request: HttpRequest) -> HttpResponse:
        if proof := get_proof(request):
            return view(request, proof)
        if request.method != "POST":
            return login_page(request)
        keep_typed(request)
        return login_page(request, NOT_SENT, status=403)

    return page


def login_page(request: HttpRequest, problem: Text = "", status: int = 200) -> HttpResponse:
    """Show how to log in; with a `problem`, also why it hasn't worked."""
    came_from = attribution.sign(attribution.of_visit(request)) if request.method != "POST" else ""
    return render(request, "signup/log_in.html", {"problem": problem, "attribution": came_from}, status=status)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that can fill in a form."""
    names = rules.customer_properties(single_sign_on=True)
    known = {name: values[name] for name in names if isinstance(values.get(name), rules.RULES[name].kind)}
    return {name: value if isinstance(value, bool) else value[:MAX_VALUE_LENGTH] for name, value in known.items()}
