"""Staff who log in to the admin through the identity provider, which alone says who they are and what they may do."""

from __future__ import annotations

import logging
import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from signup.models import StaffIdentity
from signup.single_sign_on.openid import WRONG, Failed

log = logging.getLogger(__name__)

ROLES = {"Viewer", "Operator", "Administrator"}
"""The admin's groups. The claim names some of them; any other of its values means nothing here."""

NO_ROLE = "You are signed in, but none of your groups has a role here. Ask whoever manages your accounts."
NOT_SAID = "Your identity provider doesn't say when you logged in (auth_time), so this doesn't confirm that it's you."
CLOSED = "Your login has been deactivated here. Ask an administrator."


def admit(claims: dict[str, Any]) -> User:
    """The user for this person, with just the groups that the provider names. Raises Failed where they may not in.

    Known again by issuer and subject, never by email address: that may be somebody else's tomorrow. Who had groups
    and has none now loses them here. Nobody becomes a superuser in this way, and no password opens such a user.
    """
    named = claims.get(settings.OIDC_STAFF_CLAIM)
    roles = {role for role in ROLES if role in (named if isinstance(named, list) else [named])}
    try:
        with transaction.atomic():
            user = _known(claims) or (_new(claims) if roles else None)
            if user:
                _update(user, claims, roles)
    except IntegrityError:  # The same person in another window, or a name that somebody took in this moment.
        raise Failed(WRONG) from None
    if not user or not roles:
        log.warning("login of staff refused: no group is named user=%s", user and user.pk)
        raise Failed(NO_ROLE)
    if not user.is_active:
        log.warning("login of staff refused: deactivated user=%s", user.pk)
        raise Failed(CLOSED)
    log.info("staff logged in user=%s groups=%s", user.pk, ",".join(sorted(roles)))
    return user


def proven_at(claims: dict[str, Any]) -> float | None:
    """When they last entered their password or the like at the provider, by its word; None where it does not say."""
    at = claims.get("auth_time")
    return float(at) if isinstance(at, int | float) and not isinstance(at, bool) else None


def _known(claims: dict[str, Any]) -> User | None:
    identity = StaffIdentity.objects.filter(issuer=settings.OIDC_ISSUER, subject=claims["sub"]).first()
    return identity.user if identity else None


def _new(claims: dict[str, Any]) -> User:
    user = User.objects.create_user(_free_name(claims))
    StaffIdentity.objects.create(user=user, issuer=settings.OIDC_ISSUER, subject=claims["sub"])
    return user


def _update(user: User, claims: dict[str, Any], roles: set[str]) -> None:
    user.first_name, user.last_name = _text(claims, "given_name"), _text(claims, "family_name")
    user.email = _text(claims, "email")
    user.is_staff, user.is_superuser = bool(roles), False
    if user.has_usable_password():  # Setting it each time would end the sessions in other browsers.
        user.set_unusable_password()
    user.save()
    user.groups.set(Group.objects.filter(name__in=roles))
    user.user_permissions.clear()


def _free_name(claims: dict[str, Any]) -> str:
    """A username to be recognized by. One that is taken stays with whoever has it."""
    wanted = _text(claims, "preferred_username") or _text(claims, "email") or str(claims["sub"])
    name = re.sub(r"[^\w.@+-]", "-", wanted)[:140]
    taken = set(User.objects.filter(username__istartswith=name).values_list("username", flat=True))
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(each for each in names if each.lower() not in {one.lower() for one in taken})


def _text(claims: dict[str, Any], name: str) -> str:
    """A claim as a column of the user can hold it."""
    value = claims.get(name)
    return value.encode(errors="ignore").decode().replace("\0", "")[:150] if isinstance(value, str) else ""
