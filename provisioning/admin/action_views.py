"""Staff's actions on the pages of the admin: one at a time on an account's page, in bulk on the list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse

from provisioning import services
from provisioning.admin.actions import Action
from provisioning.admin.timeline import timeline
from provisioning.admin_site import ask_for_proof
from provisioning.models import Account, IllegalMove, MovedMeanwhile

MOST_AT_ONCE = 500
"""A bulk of more would outlast the patience of browsers and proxies."""


def page(request: HttpRequest, template: str, account: Account | None, **context: Any) -> TemplateResponse:
    """A page of ours in the admin's frame, about one account if given."""
    return TemplateResponse(
        request,
        f"admin/provisioning/account/{template}.html",
        admin.site.each_context(request) | {"opts": Account._meta, "original": account} | context,
    )


def require_permissions(request: HttpRequest, *permissions: str) -> None:
    """Raises PermissionDenied unless this member of staff may see accounts and has all of these."""
    if not request.user.has_perms(["provisioning.view_account", *permissions]):
        raise PermissionDenied


def stamp(account: Account) -> str:
    """Names the account as a page has shown it, so that nobody acts on what they have not seen."""
    return account.state_changed_at.isoformat()


def account_action(request: HttpRequest, pk: int, action: Action) -> HttpResponse:
    """Carry a action out for one account, if it still is as the page showed it."""
    require_permissions(request, action.permission)
    account = get_object_or_404(Account, pk=pk)
    if action.needs_proof and (asked := ask_for_proof(request)):
        return asked
    seen = request.POST.get("seen", stamp(account))
    if request.method != "POST" or (action.warning and "confirmed" not in request.POST):
        return _ask(request, action, [account], {"seen": seen})
    try:
        if seen != stamp(account):
            raise MovedMeanwhile
        action.carry_out(account, request)
    except (IllegalMove, MovedMeanwhile):
        tell_meanwhile(request, account)
    else:
        messages.success(request, f"{account}: {action.done}.")
    return redirect("admin:provisioning_account_change", pk)


def bulk_action(model_admin: Any, request: HttpRequest, queryset: QuerySet[Account], *, action: Action) -> Any:
    """Carry a action out for each of the selected accounts that it is for; the others stay as they are."""
    if action.needs_proof and (asked := ask_for_proof(request)):
        return asked
    accounts = list(queryset[: MOST_AT_ONCE + 1])
    if len(accounts) > MOST_AT_ONCE:
        messages.error(request, f"Nothing was done: choose at most {MOST_AT_ONCE} accounts at once.")
        return None
    if action.warning and "confirmed" not in request.POST:
        return _ask(request, action, accounts, {"action": action.name})
    carry_out_each(request, accounts, action)
    return None


def carry_out_each(request: HttpRequest, accounts: list[Account], action: Action) -> None:
    """Carry a action out for each account that it is for, and say for how many, and which were left as they are."""
    left = [account for account in accounts if not _done(account, request, action)]
    if done := len(accounts) - len(left):
        messages.success(request, f"{action.done}: {done} account{pluralize(done)}.")
    if left:
        names = "; ".join(f"{account}: {account.get_state_display()}" for account in left[:10])
        more = " …" if len(left) > 10 else ""
        as_is = "account was left as it is" if len(left) == 1 else "accounts were left as they are"
        messages.warning(request, f"{len(left)} {as_is}: {names}{more}")


def tell_meanwhile(request: HttpRequest, account: Account) -> None:
    """Answer a race with what happened meanwhile."""
    account.refresh_from_db()
    state, happened = account.get_state_display(), timeline(account)[-1].title
    messages.warning(request, f"Nothing was done, for somebody was faster. {account} is now {state}: {happened}")


def _done(account: Account, request: HttpRequest, action: Action) -> bool:
    try:
        action.carry_out(account, request)
    except (IllegalMove, MovedMeanwhile):
        account.refresh_from_db()
        return False
    return True


def _ask(request: HttpRequest, action: Action, accounts: Iterable[Account], fields: Mapping[str, str]) -> HttpResponse:
    accounts = [account for account in accounts if action.is_for(account)]
    original = accounts[0] if "seen" in fields and accounts else None
    return page(
        request,
        "confirm",
        original,
        title=f"{action.label}?",
        action=action,
        accounts=accounts,
        doubtful={account.pk for account in accounts if action.doubt and services.may_exist(account)},
        fields=fields,
        checkbox=ACTION_CHECKBOX_NAME,
    )
