"""The views of staff actions: for one account from its page, in bulk from the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import pluralize
from django.urls import reverse

from provisioning import services
from provisioning.admin.actions import Action
from provisioning.admin.conflicts import report_conflict, report_unchanged
from provisioning.admin.pages import render_page, require_permissions, require_version, version_of
from provisioning.admin_site import ask_to_reauthenticate
from provisioning.models import Account, IllegalMove, MovedMeanwhile

MAX_ACCOUNTS = 500
"""More accounts would take longer than browsers and proxies wait."""


def account_action(request: HttpRequest, pk: int, action: Action) -> HttpResponse:
    """Carry an action out for one account, if it is still as the page showed it."""
    require_permissions(request, action.permission)
    account = get_object_or_404(Account, pk=pk)
    if action.needs_reauthentication and (asked := ask_to_reauthenticate(request)):
        return asked
    seen = request.POST.get("seen", version_of(account))
    form = bound_form(request, action)
    if not form.is_valid():
        back = reverse("admin:provisioning_account_change", args=[pk])
        return _ask(request, action, form, [account], {"seen": seen}, back)
    try:
        require_version(account, seen)
        done = action.carry_out(account, request, form.cleaned_data)
    except (IllegalMove, MovedMeanwhile):
        report_conflict(request, account)
    else:
        messages.success(request, f"{account}: {done}.")
    return redirect("admin:provisioning_account_change", pk)


def bulk_action(model_admin: Any, request: HttpRequest, queryset: QuerySet[Account], *, action: Action) -> Any:
    """Carry an action out for each selected account that it applies to. The others stay as they are."""
    if action.needs_reauthentication and (asked := ask_to_reauthenticate(request)):
        return asked
    accounts = list(queryset[: MAX_ACCOUNTS + 1])
    if len(accounts) > MAX_ACCOUNTS:
        messages.error(request, f"Nothing was done. Select at most {MAX_ACCOUNTS} accounts at once.")
        return None
    form = bound_form(request, action)
    if not form.is_valid():
        return _ask(request, action, form, accounts, {"action": action.name}, request.get_full_path())
    carry_out_each(request, accounts, action, form.cleaned_data)
    return None


def bound_form(request: HttpRequest, action: Action) -> forms.Form:
    """Return the action's form. It is bound once staff have confirmed the action, if it asks first."""
    confirmed = request.method == "POST" and (not action.asks or "confirmed" in request.POST)
    return action.form(request.POST if confirmed else None, initial={"assignee": request.user})


def carry_out_each(request: HttpRequest, accounts: list[Account], action: Action, values: Mapping[str, Any]) -> None:
    """Carry an action out for each account that it applies to. Report how many, and what happened to the others."""
    left = [account for account in accounts if not _done(account, request, action, values)]
    if done := len(accounts) - len(left):
        messages.success(request, f"{action.done}: {done} account{pluralize(done)}.")
    if left:
        report_unchanged(request, left, len(accounts))


def _done(account: Account, request: HttpRequest, action: Action, values: Mapping[str, Any]) -> bool:
    try:
        action.carry_out(account, request, values)
    except (IllegalMove, MovedMeanwhile):
        account.refresh_from_db()
        return False
    return True


def _ask(
    request: HttpRequest, action: Action, form: forms.Form, chosen: list[Account], fields: Mapping[str, str], back: str
) -> HttpResponse:
    """Ask for confirmation for the chosen accounts that the action applies to; if there are none, go back."""
    accounts = [account for account in chosen if action.is_for(account)]
    if left := [account for account in chosen if account not in accounts]:
        report_unchanged(request, left, len(chosen), "changes" if accounts else "changed")
    if not accounts:
        return redirect(back)
    original = accounts[0] if "seen" in fields else None
    return render_page(
        request,
        "confirm",
        original,
        title=action.title.format(accounts[0].organization_name if len(accounts) == 1 else f"{len(accounts)} accounts"),
        action=action,
        form=form,
        accounts=accounts,
        doubtful={account.pk for account in accounts if action.doubt and services.may_exist(account)},
        fields=fields,
        back=back,
        checkbox=ACTION_CHECKBOX_NAME,
    )
