"""Staff's corrections of values that Constant Contact refused, on behalf of the customer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from provisioning import rules, services
from provisioning.admin.conflicts import report_conflict
from provisioning.admin.pages import render_page, require_permissions, require_version, version_of
from provisioning.models import Account, IllegalMove, MovedMeanwhile


class CorrectionForm(forms.Form):
    """The properties of an account, refused ones first. `services.correct` validates what is entered."""

    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, account: Account, refused: dict[str, str], data: Any = None) -> None:
        own_id = ["partner_account_id"] if account.partner_account_id else []
        correctable = (*rules.SHOWN_PROPERTIES, *own_id)
        now = {name: getattr(account, name) for name in correctable}
        super().__init__(data, initial=now | {"seen": version_of(account)})
        self.refused = refused
        for name in sorted(correctable, key=lambda name: name not in refused):
            self.fields[name] = _field(rules.active()[name])

    def changes(self) -> dict[str, Any]:
        """Return only what staff changed."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "seen"}

    def asked(self) -> list[tuple[forms.BoundField, str]]:
        """Return each field with Constant Contact's reason for refusing it, or an empty string."""
        return [(self[name], self.refused.get(name, "")) for name in self.fields if name != "seen"]


def is_correctable(account: Account) -> bool:
    """Whether staff can correct what was refused: not if it was only the password, which only the customer chooses."""
    return account.state == Account.State.REJECTED and set(services.refused(account)) != {"password"}


def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """Apply corrected values to a rejected account and queue it again."""
    require_permissions(request, "provisioning.correct_account")
    account = get_object_or_404(Account, pk=pk)
    back = redirect("admin:provisioning_account_change", pk)
    if account.state != Account.State.REJECTED:
        report_conflict(request, account)
        return back
    form = CorrectionForm(account, services.refused(account), request.POST or None)
    if form.is_valid():
        try:
            _save(request, account, form)
        except ValidationError as problems:
            form.add_error(None, problems)
        except (IllegalMove, MovedMeanwhile):
            report_conflict(request, account)
            return back
        else:
            messages.success(request, f"{account}: Corrected and queued for retry.")
            return back
    return render_page(request, "correct", account, title="Correct and retry", form=form)


def _save(request: HttpRequest, account: Account, form: CorrectionForm) -> None:
    require_version(account, form.cleaned_data["seen"])
    services.correct(account, form.changes(), by=request.user.pk)


def _field(rule: rules.Rule) -> forms.Field:
    label = Account.label(rule.name)
    if rule.kind is bool:
        return forms.BooleanField(label=label, required=False)
    if choices := rule.choices():
        return forms.ChoiceField(label=label, required=False, choices=[("", "—"), *choices])
    attributes = rule.attributes() | {"autocomplete": "off", "class": "vTextField"}
    return forms.CharField(
        label=label, required=False, strip=False, help_text=rule.help(), widget=forms.TextInput(attrs=attributes)
    )
