"""Who a customer has proven to be, and the page for those who have not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from signup.single_sign_on.carried import Carried

if TYPE_CHECKING:
    from provisioning.rules.rule import Text

PROOF, TYPED = "proof", "typed"
"""The keys of a browser's proof in its session, and of what was typed into a form that could not be taken in what it
carries itself.
"""
LIFETIME = 60 * 60
"""Seconds: enough to fill in a form, and too little for many others to come to the same computer."""
AT_ONCE = 500
"""Expired sessions that are deleted together: a burst of them does not hold up the other chores."""
LONGEST_VALUE = 1000
"""Characters; longer ones no rule allows, and a session is not a place for them."""

NOT_SENT = _(
    "Nothing has been sent yet, because you signed in too long ago. Sign in again; everything you typed is kept."
)


@dataclass(frozen=True)
class Proof:
    """Who the customer is, by the partner's word, and what is known already. Both are empty without single sign-on."""

    idp_provider_id: str = ""
    name: str = ""
    """By what the customer recognizes the own account at the partner's."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What to fill the form in with: property → value, as the partner knows it or as it was typed before."""


def is_id(value: object) -> bool:
    """Whether this can be somebody's id, just as it is."""
    try:
        return bool(value) and rules.active()["idp_provider_id"].clean(value) == value
    except ValidationError:
        return False


def keep(request: HttpRequest, idp_provider_id: str, values: Mapping[str, Any], *, link: str = "") -> None:
    """Keep a proof for this browser, under a new session key that nobody can have planted; `link` names its link."""
    kept = request.session.get(PROOF, {})
    if kept and kept["idp_provider_id"] != idp_provider_id:
        forget_values(request)
    request.session.cycle_key()
    until = time.time() + LIFETIME
    request.session[PROOF] = {
        "idp_provider_id": idp_provider_id,
        "values": _known(values),
        "link": link,
        "until": until,
    }


def is_from(request: HttpRequest, link: str) -> bool:
    """Whether it was this link that gave this browser its proof."""
    return proven(request) is not None and request.session[PROOF]["link"] == link


def proven(request: HttpRequest) -> Proof | None:
    """What this browser's customer has proven; None where that is demanded and has not been done, or too long ago."""
    if not settings.CONSTANT_CONTACT_IDP_PROVIDER:
        return Proof()
    kept = request.session.get(PROOF)
    if not kept or kept["until"] < time.time():
        return None
    who, known = kept["idp_provider_id"], kept["values"]
    return Proof(who, known.get("email") or who, {**known, **Carried.by(request).get(TYPED, {})})


def is_somebody_else(request: HttpRequest, idp_provider_id: str) -> bool:
    """Whether this browser has proven to be another customer's, and has not said yet that it changes hands."""
    proof = proven(request)
    before = proof.idp_provider_id if proof else ""
    return request.method != "POST" and bool(before) and before != idp_provider_id


def ask_first(request: HttpRequest, name: str) -> HttpResponse:
    """Ask whether to go on as `name`, so that nobody's link makes a customer fill in somebody else's form unaware."""
    return render(request, "signup/somebody_else.html", {"proof": proven(request), "name": name})


def keep_typed(request: HttpRequest) -> None:
    """Keep what was typed, so that nothing of it is lost while the customer signs in again."""
    typed = request.POST.dict()
    Carried.by(request)[TYPED] = _known({**typed, "gdpr_opt_out": "gdpr_opt_out" in typed})


def forget_values(request: HttpRequest) -> None:
    """Forget what the form is filled in with: once it is sent, it is the account's, to be erased with that."""
    Carried.by(request).pop(TYPED, None)
    if kept := request.session.get(PROOF):
        request.session[PROOF] = {**kept, "values": {}}


def forget_sessions(**kwargs: Any) -> None:
    """Delete the sessions that are over, which Django leaves where they are: there are names and addresses in them."""
    over = Session.objects.filter(expire_date__lt=Now())[:AT_ONCE].values_list("pk")
    if over.exists():  # So that mostly nothing is written.
        Session.objects.filter(pk__in=over).delete()


def proof_required(view: Callable[[HttpRequest, Proof], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Show the page, with the proof, to customers who have one; the others learn how to come by it."""

    @wraps(view)
    def page(request: HttpRequest) -> HttpResponse:
        if proof := proven(request):
            return view(request, proof)
        if request.method != "POST":
            return way_in(request)
        keep_typed(request)
        return way_in(request, NOT_SENT, status=403)

    return page


def offered(request: HttpRequest) -> dict[str, object]:
    """The context processor that tells every template which ways in there are."""
    return {
        "by_openid": settings.OIDC_ISSUER,
        "by_link": settings.SIGNUP_LINK_URL,
        "staff_by_openid": settings.OIDC_STAFF_CLAIM,
    }


def way_in(request: HttpRequest, problem: Text = "", status: int = 200) -> HttpResponse:
    """How to prove who one is; with a `problem`, why that has not worked yet."""
    return render(request, "signup/way_in.html", {"problem": problem}, status=status)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """The customer's properties among these values, as far as a form can be filled in with them."""
    names = rules.asked(single_sign_on=True)
    known = {name: values[name] for name in names if isinstance(values.get(name), rules.RULES[name].kind)}
    return {name: value if isinstance(value, bool) else value[:LONGEST_VALUE] for name, value in known.items()}
