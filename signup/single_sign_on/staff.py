"""Staff logins through the identity provider, which decides who they are and what they may do."""

from __future__ import annotations

import logging
import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from provisioning import roles
from signup.single_sign_on.models import StaffIdentity
from signup.single_sign_on.openid import WRONG
from signup.single_sign_on.proof import NotProven

log = logging.getLogger(__name__)

NO_ROLE = "You are logged in, but none of your groups has a role here. Ask whoever manages your company's logins."
NOT_SAID = "Your identity provider doesn't say when you logged in (auth_time), so this doesn't confirm that it's you."
CLOSED = "Your login has been deactivated here. Ask an administrator."


def update_or_create_user(claims: dict[str, Any]) -> User:
    """Return this person's user, with only the roles that the provider names. Raises NotProven if it names none.

    Users are recognized by issuer and subject, never by email address, which may be reassigned. A user whose groups
    are gone at the provider loses them here too. Such users are never superusers and have no password.
    """
    named = claims.get(settings.OIDC_STAFF_CLAIM)
    granted = {role for role in roles.ALL if role in (named if isinstance(named, list) else [named])}
    try:
        with transaction.atomic():
            user = _known(claims) or (_new(claims) if granted else None)
            if user:
                _update(user, claims, granted)
    except IntegrityError:  # The same person in another window, or a username that was taken at the same moment.
        raise NotProven(WRONG) from None
    if not user or not granted:
        log.warning("staff login refused: the claim names no role user=%s", user and user.pk)
        raise NotProven(NO_ROLE)
    if not user.is_active:
        log.warning("staff login refused: deactivated user=%s", user.pk)
        raise NotProven(CLOSED)
    log.info("staff roles set by the identity provider user=%s groups=%s", user.pk, ",".join(sorted(granted)))
    return user


def authenticated_at(claims: dict[str, Any]) -> float | None:
    """Return when the person last authenticated at the provider; None if it doesn't say."""
    at = claims.get("auth_time")
    return float(at) if isinstance(at, int | float) and not isinstance(at, bool) else None


def _known(claims: dict[str, Any]) -> User | None:
    identity = StaffIdentity.objects.filter(issuer=settings.OIDC_ISSUER, subject=claims["sub"]).first()
    return identity.user if identity else None


def _new(claims: dict[str, Any]) -> User:
    user = User.objects.create_user(_free_name(claims))
    StaffIdentity.objects.create(user=user, issuer=settings.OIDC_ISSUER, subject=claims["sub"])
    return user


def _update(user: User, claims: dict[str, Any], granted: set[str]) -> None:
    user.first_name, user.last_name = _text(claims, "given_name"), _text(claims, "family_name")
    user.email = _text(claims, "email")
    user.is_staff, user.is_superuser = bool(granted), False
    if user.has_usable_password():  # Setting it each time would end the sessions in other browsers.
        user.set_unusable_password()
    user.save()
    user.groups.set(Group.objects.filter(name__in=granted))
    user.user_permissions.clear()


def _free_name(claims: dict[str, Any]) -> str:
    """Return a free username that the person can be recognized by."""
    wanted = _text(claims, "preferred_username") or _text(claims, "email") or str(claims["sub"])
    name = re.sub(r"[^\w.@+-]", "-", wanted)[:140]
    taken = set(User.objects.filter(username__istartswith=name).values_list("username", flat=True))
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(each for each in names if each.lower() not in {one.lower() for one in taken})


def _text(claims: dict[str, Any], name: str) -> str:
    """Return a claim as a text that fits the user's columns."""
    value = claims.get(name)
    return value.encode(errors="ignore").decode().replace("\0", "")[:150] if isinstance(value, str) else ""
