"""The rule that nobody manages staff who have more permissions than they have themselves."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest


def permissions_of(user: User) -> QuerySet[Permission]:
    """Return the permissions assigned to a user, active or not. Superusers have all others too."""
    return Permission.objects.filter(Q(group__user=user) | Q(user=user))


def may_manage(request: HttpRequest, user: User) -> bool:
    """Whether the current staff member has at least the permissions of `user`."""
    if request.user.is_superuser:
        return True
    more = permissions_of(user).exclude(pk__in=permissions_of(request.user))  # type: ignore[arg-type]  # no stranger
    return not user.is_superuser and not more.exists()
