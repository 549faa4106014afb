"""Abuse protection in layers: a guard in the form, rate limits per network and mailbox, and burst detection.

`ABUSE_PROTECTION=false` turns all of it off. A refused visitor may well be a person, so the error says what to do. A
form that has passed once passes again when it is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache as cached

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import rules
from provisioning.models import Account
from provisioning.rules.rule import Text
from signup import burst, form_guard, visitors, visits
from signup.forms import SignupForm
from signup.visits import Earlier

log = logging.getLogger(__name__)

VERDICTS = {burst.PASSED: "burst.passed", burst.HELD: "burst.held"}
"""The keys under which calls that passed, and calls that were held, are counted."""


@dataclass(frozen=True)
class Limit:
    """How many calls to Constant Contact one source may cause within an hour and within a day."""

    an_hour: int
    a_day: int
    reason: Text


LIMITS = {
    # A classroom or an office shares one address, and so do the customers of some mobile carriers.
    "network": Limit(40, 120, gettext_lazy("There have been too many sign-ups from your network.")),
    # All networks of an area: a single customer of an internet provider may have any of an IPv6 area's 65,536.
    "networks": Limit(200, 600, gettext_lazy("There have been too many sign-ups from your network.")),
    # One person may have several businesses and try several usernames. More than that could flood a mailbox. Each
    # area has a limit of its own, so that a stranger can't use up the owner's.
    "email": Limit(10, 20, gettext_lazy("There have been too many sign-ups with this email address.")),
    # Each correction is another call to Constant Contact, and all customers share the daily quota.
    "correction": Limit(10, 30, gettext_lazy("You have corrected this sign-up too many times.")),
    # A system of the partner's may bring many customers, but a mistake in it must not use up everybody's quota.
    "key": Limit(1000, 4000, gettext_lazy("There have been too many sign-ups through the API with this key.")),
}

HELD_ABOVE = (20, 40)
"""Calls for one mailbox, from anywhere, within an hour and a day, from which on more are held for staff. They aren't
refused, because one may be the owner's."""
MAX_HELD = 20_000
"""How many sign-ups may wait for staff before more are refused: otherwise, strangers could fill the disk."""
HELD_CACHE_SECONDS = 10.0
"""Seconds for which their number is cached."""
KEPT_PASSWORDS = (20, 60)
"""For how many browsers of one network a password is kept within an hour and a day: each gets a session."""
KEPT_PASSWORDS_OF_AREA = (100, 300)


@dataclass(frozen=True)
class Call:
    """A call to Constant Contact that a visitor's form leads to: the keys of its rate limits, and of its traits."""

    id: uuid.UUID
    """Calls with the same ID count once."""
    limited: Mapping[str, str]
    shared: Mapping[str, str]


def check_signup(form: SignupForm, request: HttpRequest) -> Call | None:
    """Return the call that a valid form leads to, for `record_call`; None if there is nothing to count. Takes no lock.

    Raises ValidationError, with what to do, for a form that looks automated.
    """
    if not settings.ABUSE_PROTECTION:
        return None
    try:
        return _call(form, request)
    except ValidationError as stopped:
        _raise_unless_submitted(form, stopped)
        return None


def record_call(form: SignupForm, call: Call | None) -> bool:
    """Count a form's call against its limits, or raise ValidationError. Return whether to hold the sign-up for staff.

    Runs in the caller's transaction. Keep that short: other sign-ups wait for it.
    """
    try:
        return call is not None and _record(call)
    except ValidationError as stopped:
        _raise_unless_submitted(form, stopped)
        return False


def _raise_unless_submitted(form: SignupForm, stopped: ValidationError) -> None:
    """Raise `stopped`, unless the form has already become an account: sending it again changes nothing."""
    if not Account.objects.filter(submission=form.submission).exists():
        log.warning("sign-up stopped by=%s", stopped.code)
        raise stopped


def _call(form: SignupForm, request: HttpRequest) -> Call:
    seconds = form_guard.check(form)
    email = form.cleaned_data["email"]
    call_id = id_of_call(form.submission, form.cleaned_data["username"], email)
    return Call(call_id, _keys(_sources(request, email)), _keys(burst.traits(request, email, seconds)))


def _sources(request: HttpRequest, email: str) -> dict[str, str]:
    mailbox, area = rules.mailbox(email), visitors.area(request)
    return {
        "network": visitors.network(request),
        "networks": area,
        "email": f"{mailbox} {area}",
        "mailbox": mailbox,
    }


def id_of_call(submission: uuid.UUID, username: str, email: str) -> uuid.UUID:
    """Return the ID of the call for a sign-up, which stays the same while the form is corrected elsewhere.

    Each new username is looked up here, and then at Constant Contact, so each one counts. So does each new mailbox, or
    one form could try any number of them.
    """
    return uuid.uuid5(submission, f"{username.lower()}\n{rules.mailbox(email)}")


def check_correction(account: Account, request: HttpRequest, email: str) -> bool:
    """Count a correction, or raise ValidationError with what to do. Return whether to hold it for staff.

    `email` is the account's address after the correction.
    """
    if not settings.ABUSE_PROTECTION:
        return False
    sources = _sources(request, email) | {"correction": str(account.reference)}
    try:
        with transaction.atomic():
            return _record(Call(uuid.uuid4(), _keys(sources), _keys(burst.traits(request, email))))
    except ValidationError as stopped:
        log.warning("correction stopped by=%s reference=%s", stopped.code, account.reference)
        raise


def record_api_call(key: str, call: uuid.UUID, email: str, host: str, reference: str = "") -> bool:
    """Count a call by an API key, or raise ValidationError. Return whether to hold the sign-up for staff.

    `reference` is that of the sign-up to correct. All calls of a key look alike to the burst detection. Runs in the
    caller's transaction.
    """
    if not settings.ABUSE_PROTECTION:
        return False
    mailbox = rules.mailbox(email)
    limited = {"key": key, "email": f"{mailbox} key {key}", "mailbox": mailbox, "correction": reference}
    shared = {"area": f"key {key}", "domain": mailbox.rpartition("@")[2], "host": host}
    try:
        return _record(Call(call, _keys(limited), _keys(shared)))
    except ValidationError as stopped:
        log.warning("api sign-up stopped by=%s", stopped.code)
        raise


def record_kept_password(request: HttpRequest) -> bool:
    """Count a browser that gets a session to keep a password in. Return False if its network or area has too many."""
    if not settings.ABUSE_PROTECTION:
        return True
    network, area = key("keeping", visitors.network(request)), key("keeping.area", visitors.area(request))
    return visits.add_within(network, *KEPT_PASSWORDS) and visits.add_within(area, *KEPT_PASSWORDS_OF_AREA)


def _record(call: Call) -> bool:
    """Count a call against the limits of its sources. Return whether to hold it for staff.

    Raises ValidationError if a limit is used up, and then counts nothing. Runs in the caller's transaction: calls that
    count against the same limit take turns, so that simultaneous calls can't exceed it.
    """
    limited = call.limited.values()
    earlier = visits.count_earlier(call.id, limited)
    for name, source in call.limited.items():
        if name in LIMITS:
            _require_within(LIMITS[name], earlier[source])
    is_burst = burst.should_hold(_alike(call))
    hold = is_burst or _is_crowded(earlier.get(call.limited.get("mailbox", ""), Earlier()))
    if hold and (cache.get_or_set("abuse.held", _count_held, HELD_CACHE_SECONDS) or 0) >= MAX_HELD:
        raise ValidationError(_("Nothing has been sent. Please try again in an hour."), code="limit")
    new = [source for source in limited if not earlier[source].is_counted]
    if len(new) == len(limited):
        new += [*call.shared.values(), VERDICTS[burst.HELD if hold else burst.PASSED]]
    if new:
        visits.add(call.id, new)
    if is_burst:
        burst.record_hold()
    return hold


def _is_crowded(mailbox: Earlier) -> bool:
    an_hour, a_day = HELD_ABOVE
    return mailbox.hour >= an_hour or mailbox.day >= a_day


def _count_held() -> int:
    return Account.objects.filter(state=Account.State.HELD).count()


def _require_within(limit: Limit, earlier: Earlier) -> None:
    if earlier.day >= limit.a_day:
        raise _limit_reached(limit, _("Nothing has been sent. Please try again tomorrow."))
    if earlier.hour >= limit.an_hour:
        raise _limit_reached(limit, _("Nothing has been sent. Please try again in an hour."))


def _alike(call: Call) -> dict[str, int]:
    """Return how many calls of the last hour passed and were held, and how many share each trait if that matters."""
    calls = _last_hour(VERDICTS)
    return calls | _last_hour(call.shared) if burst.must_compare(calls) else calls


def _last_hour(keys: Mapping[str, str]) -> dict[str, int]:
    counted = visits.count_last_hour(keys.values())
    return {name: counted[key] for name, key in keys.items()}


def _keys(sources: Mapping[str, str]) -> dict[str, str]:
    return {name: key(name, source) for name, source in sources.items() if source}


def key(name: str, source: str) -> str:
    """Return the key that a visit is counted under. It doesn't reveal the source."""
    return hmac.digest(_secret(name, settings.SECRET_KEY), source.encode(), "sha256").hex()


@cached
def _secret(name: str, secret_key: str) -> bytes:
    """Return the same HMAC key as Django's `salted_hmac`, which derives it again for each call."""
    return hashlib.sha256(f"signup.abuse.{name}{secret_key}".encode()).digest()


def _limit_reached(limit: Limit, pause: str) -> ValidationError:
    return ValidationError(f"{limit.reason} {pause}", code="limit")
