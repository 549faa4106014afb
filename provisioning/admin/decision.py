"""Staff's decision about an account that may or may not exist: what was sent, next to what the partner's list shows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from provisioning import services
from provisioning.admin.conflicts import report_conflict
from provisioning.admin.pages import render_page, require_permissions, require_version, version_of
from provisioning.admin_site import record
from provisioning.mirror import matching, passes
from provisioning.models import Account, IllegalMove, ListEntry, MovedMeanwhile

OTHERS = "others"


class DecisionForm(forms.Form):
    """Which listed account is the customer's, if any."""

    seen = forms.CharField(widget=forms.HiddenInput)
    choice = forms.ChoiceField(widget=forms.RadioSelect, error_messages={"required": "Choose one."})

    def __init__(self, account: Account, entries: list[ListEntry], data: Any) -> None:
        super().__init__(data, initial={"seen": version_of(account)})
        listed = [
            (str(entry.pk), f"This is the customer's account: account ID {entry.account_id}") for entry in entries
        ]
        nobody = (OTHERS, "The username belongs to somebody else. Ask the customer to choose another one.")
        self.fields["choice"].choices = [*listed, nobody]  # type: ignore[attr-defined]


def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Settle an unconfirmed account: it is one of those listed, or its username belongs to somebody else."""
    require_permissions(request, "provisioning.correct_account")
    account = get_object_or_404(Account, pk=pk)
    back = redirect("admin:provisioning_account_change", pk)
    if account.state != Account.State.UNCONFIRMED:
        report_conflict(request, account)
        return back
    related = list(matching.related(account))
    owners = {each.account_id: each for each in Account.objects.filter(account_id__in=[e.account_id for e in related])}
    free = [entry for entry in related if entry.account_id not in owners]
    form = DecisionForm(account, free, request.POST or None)
    if not form.is_valid():
        listed = [(entry, owners.get(entry.account_id)) for entry in related]
        return _page(request, account, form, listed)
    try:
        done = _decide(request, account, form, free)
    except (IllegalMove, MovedMeanwhile):
        report_conflict(request, account)
    else:
        messages.success(request, f"{account}: {done}.")
    return back


def _page(
    request: HttpRequest, account: Account, form: DecisionForm, listed: list[tuple[ListEntry, Account | None]]
) -> HttpResponse:
    """Show what was sent, and what is listed: each entry with the sign-up that it belongs to, if any."""
    context = {
        "listed": listed,
        "calls": account.unanswered(),
        "newest": passes.newest_complete(),
        "calibrated": passes.is_calibrated(),
        "names": matching.names(),
        "form": form,
    }
    return render_page(request, "decide", account, title="Does this account exist?", **context)


def _decide(request: HttpRequest, account: Account, form: DecisionForm, free: list[ListEntry]) -> str:
    """Carry the decision out, record it, and return what was done. Raises IllegalMove or MovedMeanwhile."""
    require_version(account, form.cleaned_data["seen"])
    choice = form.cleaned_data["choice"]
    with transaction.atomic():
        if choice == OTHERS:
            services.reject_username(account)
            done, detail = "Username marked as somebody else's", ""
        else:
            entry = next(entry for entry in free if str(entry.pk) == choice)
            services.attach(account, entry)
            done, detail = "Matched to a listed account", f"account ID {entry.account_id}"
        record(request, account, done, detail)
    return f"{done}: {detail}" if detail else done
