"""The page for all held accounts, to approve or decline them with one button."""

from __future__ import annotations

from datetime import UTC

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize

from provisioning.admin.action_views import MAX_ACCOUNTS, carry_out_each
from provisioning.admin.actions import ACTIONS, Action, DeclineForm
from provisioning.admin.pages import render_page, require_permissions, version_of
from provisioning.admin_site.addresses import previous_page
from provisioning.models import Account, AccountQuerySet

MAX_SHOWN = 10
"""How many of the accounts that the buttons are for are shown, oldest first."""


def held(request: HttpRequest) -> HttpResponse:
    """Show how many accounts are held, and apply the chosen action to all that the page showed, oldest first."""
    require_permissions(request)
    actions = {
        action.name: action
        for action in ACTIONS
        if action.name in {"approve", "decline"}
        if request.user.has_perm(action.permission)
    }
    if request.method != "POST":
        return _page(request, actions, DeclineForm())
    action = actions.get(request.POST.get("action", ""))
    if not action:
        raise PermissionDenied
    form = action.form(request.POST)
    return _carry_out(request, action, form) if form.is_valid() else _page(request, actions, form)


def _carry_out(request: HttpRequest, action: Action, form: forms.Form) -> HttpResponse:
    """Carry the action out for the accounts that the page showed, and say if some are left."""
    accounts = Account.objects.filter(state=Account.State.HELD).order_by("submitted_at")
    chosen = list(_seen(request, accounts)[:MAX_ACCOUNTS])
    if not accounts.exists():
        messages.warning(request, "Nothing changed: no accounts are held anymore.")
    carry_out_each(request, chosen, action, form.cleaned_data)
    if left := accounts.count():
        messages.warning(
            request, f"{left} more {pluralize(left, 'is,are')} still held. Press the button again to continue."
        )
        return redirect("admin:provisioning_account_held")
    return redirect("admin:index")


def _page(request: HttpRequest, actions: dict[str, Action], form: forms.Form) -> HttpResponse:
    accounts = Account.objects.filter(state=Account.State.HELD)
    newest = accounts.order_by("-state_changed_at").first()
    count = accounts.count()
    context = {
        "count": count,
        "accounts": accounts.order_by("submitted_at")[:MAX_SHOWN],
        "more": max(0, count - MAX_SHOWN),
        "seen": version_of(newest) if newest else "",
        "actions": actions.values(),
        "form": form,
        "previous": previous_page(request),
    }
    return render_page(request, "held", None, title="Held accounts", **context)


def _seen(request: HttpRequest, accounts: AccountQuerySet) -> AccountQuerySet:
    """Leave out accounts that were held after the page was opened: an attack may have begun since."""
    try:
        newest = forms.DateTimeField().clean(request.POST.get("seen", "").replace("\0", "")).astimezone(UTC)
    except (ValidationError, OverflowError):
        return accounts.none()
    return accounts.filter(state_changed_at__lte=newest)
