"""What the pages about accounts share: their frame, who may see them, and which version of an account they show."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse

from provisioning.models import Account, MovedMeanwhile


def render_page(request: HttpRequest, template: str, account: Account | None, **context: Any) -> TemplateResponse:
    """Render one of our pages in the frame of the admin, about one account if given."""
    return TemplateResponse(
        request,
        f"admin/provisioning/account/{template}.html",
        admin.site.each_context(request) | {"opts": Account._meta, "original": account} | context,
    )


def require_permissions(request: HttpRequest, *permissions: str) -> None:
    """Raise PermissionDenied unless this member of staff may view accounts and has all of `permissions`."""
    if not request.user.has_perms(["provisioning.view_account", *permissions]):
        raise PermissionDenied


def version_of(account: Account) -> str:
    """Return the version of the account that a page shows. The page sends it back, for `require_version`."""
    return account.state_changed_at.isoformat()


def require_version(account: Account, seen: str) -> None:
    """Raise MovedMeanwhile if the account has changed since staff saw it: nobody acts on a state they haven't seen."""
    if seen != version_of(account):
        raise MovedMeanwhile
